"""A clip's way in: base64 in JSON as EdgeVoice and as the standard library read it, and the same clip as it is.

First the two readers, in this process: from a message's bytes to those of the clip, 3 s, 30 s and 10 minutes of it.
Then the whole way of 30 s, from the caller's WAV to the reply, as base64 in JSON made by the standard library and as
raw bytes. The clip is silent there, so that the agent reads it, writes it down and looks for speech in it, but bothers
no engine: what differs is the way alone. Beside it, what one would write first: JSON to a paho client that reads it by
the standard library, and does nothing else before it replies; and as many raw bytes to one that does not read them.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import json
import os
import statistics
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from rich.table import Table

from agent.audio import Audio, encode_wav
from agent.contract.spoken import read_request
from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Topics
from agent.stack import DEMO_USER, Part, Stack, StackSettings
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.device import Device, Heard
from benchmarks.metered import cpu_s
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers.echo import Echo
from benchmarks.peers.round_trip import echoing
from benchmarks.plot import Chart
from benchmarks.process_memory import Memory
from benchmarks.rounds import in_turn, ratio
from benchmarks.speech import RATE_HZ

LENGTHS_S = (3, 30, 600)
AIM_DECODED = 10.0
"""How many times as fast, at least, 10 minutes are to be decoded."""
AIM_RAW = 3.0
"""How many times as fast, at least, 30 s are to go as raw bytes as they do with json + base64 at both ends."""
_STANDARD, _OURS = "json + base64", "EdgeVoice"
_BOTH_ENDS, _JSON, _RAW = "json + base64 at both ends", "base64 in JSON, EdgeVoice", "raw bytes, EdgeVoice"
_OF_AGENT = (_JSON, _RAW)
_ANY_BYTES = "raw bytes, bare paho echo"
_READER, _ECHO = Echo(name="reader", reads_clips=True), Echo(name="echo")
_GIVE_BACK = ctypes.CDLL(None).malloc_trim
_NO_SPEECH = "no_speech"
_IDS = 32
"""Characters of an id; its length is to be the same each time."""

Read = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Decoded:
    """How long a reader took from message to clip."""

    reader: str
    clip_s: int
    message_bytes: int
    ms: float
    """The median."""
    grew_mib: float
    """How much more memory this process held at most."""


@dataclass(frozen=True)
class Sent:
    """How long the way of a clip took, there and back."""

    form: str
    clip_s: int
    ms: list[float]
    """Of each round."""
    reader_cpu_ms: float
    """Of the process that reads it, a clip."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and where the figures go."""
    add_usual(parser, quick="no ten minutes, and few rounds")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a clip was read wrong."""
    console = introduced(__doc__)
    lengths_s, rounds = (LENGTHS_S[:-1], 5) if arguments.quick else (LENGTHS_S, 21)
    failures: list[str] = []
    with console.status("Decoding ..."):
        decoded = [one for clip_s in lengths_s for one in _decoded(clip_s, rounds, failures)]
    with console.status("Sending ..."):
        sent = await _sent(LENGTHS_S[1], rounds, failures)
    longest = {one.reader: one.ms for one in decoded if one.clip_s == lengths_s[-1]}
    by_form = {one.form: one.ms for one in sent}
    raw = ratio(by_form[_BOTH_ENDS], by_form[_RAW])
    return Outcome(
        "payload",
        {"rounds": rounds},
        [*decoded, *sent],
        tables=[_decoding(decoded), _sending(sent)],
        charts=[
            Chart("From message to clip", "ms", _by_length(decoded), log=True),
            Chart("30 s there and back", "ms", {"silent clip": {one.form: statistics.median(one.ms) for one in sent}}),
        ],
        verdicts=[
            Verdict(
                f"{lengths_s[-1]} s, {_STANDARD} by {_OURS}",
                longest[_STANDARD] / longest[_OURS],
                AIM_DECODED,
                " x",
                at_least=True,
            ),
            Verdict(f"{LENGTHS_S[1]} s there and back, {_BOTH_ENDS} by {_RAW}", raw, AIM_RAW, " x", at_least=True),
        ],
        failures=failures,
    ).tell(console, arguments.folder)


def _decoded(clip_s: int, rounds: int, failures: list[str]) -> list[Decoded]:
    wav = encode_wav(_hum(clip_s))
    message = _in_json("x" * _IDS, wav)
    readers: dict[str, Read] = {_STANDARD: _by_standard, _OURS: _by_ours}
    took_ms: dict[str, list[float]] = {reader: [] for reader in readers}
    for number in range(rounds):
        for reader in in_turn(readers, number):
            began = perf_counter()
            clip = readers[reader](message)
            took_ms[reader].append(1_000 * (perf_counter() - began))
            if clip != wav:
                failures.append(f"{reader} read {clip_s} s as something else")
            del clip
    return [
        Decoded(reader, clip_s, len(message), statistics.median(took_ms[reader]), _grew_mib(readers[reader], message))
        for reader in readers
    ]


def _grew_mib(read: Read, message: bytes) -> float:
    _GIVE_BACK(0)  # what was freed, so that it is asked for anew
    memory = Memory.watching(os.getpid())
    read(message)
    return memory.looked_at(os.getpid()).peak_mib - memory.before_mib


async def _sent(clip_s: int, rounds: int, failures: list[str]) -> list[Sent]:
    wav = encode_wav(Audio(np.zeros(RATE_HZ * clip_s, np.float32), RATE_HZ))
    async with (
        Stack(StackSettings.scripted(parts=(Part.BROKER, Part.AGENT))) as stack,
        echoing(stack, _READER) as reader,
        echoing(stack, _ECHO) as echo,
    ):
        with (
            Device.connected(stack.mqtt(), stack.topics) as device,
            Device.connected(stack.mqtt(), _READER.topics) as of_reader,
            Device.connected(stack.mqtt(), _ECHO.topics) as of_echo,
        ):
            chat = partial(Topics.request, client=DEMO_USER, operation=Operation.CHAT)
            ways: dict[str, Callable[[str], Awaitable[Heard]]] = {
                _BOTH_ENDS: lambda name: of_reader.send(chat(_READER.topics), _in_json(name, wav)),
                _JSON: lambda name: device.send(chat(stack.topics), _in_json(name, wav)),
                _ANY_BYTES: lambda name: of_echo.send(chat(_ECHO.topics), b'{"id":"%b"}' % name.encode() + wav),
                _RAW: lambda name: device.send(stack.topics.wav(DEMO_USER, name, ReplyMode.TEXT), wav),
            }
            pids = {**dict.fromkeys(ways, stack.pid(Part.AGENT)), _BOTH_ENDS: reader, _ANY_BYTES: echo}
            took_ms: dict[str, list[float]] = {form: [] for form in ways}
            used_s = dict.fromkeys(ways, 0.0)
            for number in range(-1, rounds):  # the first one pays for imports and caches
                for form in in_turn(ways, number):
                    before_s, began = cpu_s(pids[form]), perf_counter()
                    heard = await ways[form](uuid.uuid4().hex)
                    if number >= 0:
                        took_ms[form].append(1_000 * (perf_counter() - began))
                        used_s[form] += cpu_s(pids[form]) - before_s
                    if form in _OF_AGENT and heard.reply.get("error", {}).get("code") != _NO_SPEECH:
                        failures.append(f"{form}: {json.dumps(heard.reply)[:300]}")
    return [Sent(form, clip_s, took_ms[form], 1_000 * used_s[form] / rounds) for form in ways]


def _in_json(name: str, wav: bytes) -> bytes:
    """As most programs would write it."""
    return json.dumps({"id": name, "audio": base64.b64encode(wav).decode()}).encode()


def _by_standard(message: bytes) -> bytes:
    return base64.b64decode(json.loads(message)["audio"], validate=True)


def _by_ours(message: bytes) -> bytes:
    return read_request(message)[1] or b""


def _hum(clip_s: int) -> Audio:
    second = np.sin(2 * np.pi * 220 * np.arange(RATE_HZ) / RATE_HZ)
    return Audio(np.tile((0.3 * second).astype(np.float32), clip_s), RATE_HZ)


def _decoding(decoded: list[Decoded]) -> Table:
    shown = table("From message to clip", ("clip", "reader"), ("message MB", "ms", "x", "MiB more at most"))
    standard = {one.clip_s: one.ms for one in decoded if one.reader == _STANDARD}
    for one in decoded:
        figures = (one.message_bytes / 1e6, one.ms, standard[one.clip_s] / one.ms, one.grew_mib)
        shown.add_row(f"{one.clip_s} s", one.reader, *(f"{figure:.3g}" for figure in figures))
    return shown


def _sending(sent: list[Sent]) -> Table:
    shown = table("There and back", ("clip", "form"), ("p50 ms", "reader's CPU ms"))
    for one in sent:
        shown.add_row(f"{one.clip_s} s", one.form, f"{statistics.median(one.ms):.2f}", f"{one.reader_cpu_ms:.1f}")
    return shown


def _by_length(decoded: list[Decoded]) -> dict[str, dict[str, float]]:
    bars: dict[str, dict[str, float]] = {}
    for one in decoded:
        bars.setdefault(f"{one.clip_s} s", {})[one.reader] = one.ms
    return bars


if __name__ == "__main__":
    sys.exit(main("payload", __doc__, add_arguments, run))
