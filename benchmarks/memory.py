"""What the processes hold at rest, and by how much the agent grows with what it is asked.

At rest, after an answer: broker, agent, its engines' processes and the bridge, with scripted engines, which hold no
model; beside them Python with paho-mqtt alone, the least that any agent in Python holds. Resident memory counts what
processes share in each of them; `own` is what a process alone holds.

Growth: requests that wait while the language model takes its time, a line of text and a clip of 3 s as base64, by what
the agent holds then and what it held before; beside it the request's own size. At last a clip of ten minutes: the most
that the agent holds beyond what it held before, where the clip comes as one message, and where it comes in pieces.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from rich.table import Table

from agent.stack import Part, Stack, StackSettings
from benchmarks import large_clips
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.device import Device
from benchmarks.outcome import Outcome, Verdict
from benchmarks.plot import Chart
from benchmarks.process_memory import Memory, children, held_mib
from benchmarks.questions import spoken, typed
from benchmarks.waiting import busy, queue

AIM_AT_REST_MIB = 80.0
"""The most that the agent's own process is to hold."""
_KIB = 1_024
_MIB = 2**20
_WARM_UP = 64
_QUICK, _FULL = {"text": 200, "3 s clip": 50}, {"text": 1_000, "3 s clip": 150}
_BARE = "import paho.mqtt.client; print(open('/proc/self/status').read())"


@dataclass(frozen=True)
class Process:
    """What one process holds at rest."""

    process: str
    resident_mib: float
    own_mib: float | None = None


@dataclass(frozen=True)
class Growth:
    """What requests that wait make the agent hold."""

    question: str
    requests: int
    request_kib: float
    growth_kib: float
    """A request."""


@dataclass(frozen=True)
class Peak:
    """What a long clip makes the agent hold."""

    form: str
    clip_mib: float
    peak_mib: float
    """Beyond what it held before."""
    left_mib: float
    """Once it is answered."""


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a clip was not answered."""
    console = introduced(__doc__)
    failures: list[str] = []
    with console.status("Weighing ..."):
        at_rest = await _measure_rest()
        growths = await _measure_growth(_QUICK if arguments.quick else _FULL)
        peaks = [] if arguments.quick else await _measure_peaks(failures)
    own = next(one for one in at_rest if one.process == Part.AGENT.value)
    return Outcome(
        "memory",
        {"clip_s": large_clips.LENGTH_S},
        [*at_rest, *growths, *peaks],
        tables=[_rest_table(at_rest), _growth_table(growths), *([_peak_table(peaks)] if peaks else [])],
        charts=[
            Chart("At rest", "MiB", {one.process: {"resident": one.resident_mib} for one in at_rest}),
            Chart(
                "Each request that waits",
                "KiB",
                {one.question: {"its size": one.request_kib, "growth": one.growth_kib} for one in growths},
                log=True,
            ),
            *_peak_charts(peaks),
        ],
        verdicts=[Verdict("The agent at rest", own.resident_mib, AIM_AT_REST_MIB, " MiB")],
        failures=failures,
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick="fewer requests that wait, and no clip of ten minutes: rough")


async def _measure_rest() -> list[Process]:
    async with Stack(StackSettings.scripted()) as stack:
        with Device.connected(stack.mqtt(), stack.topics) as device:
            await device.ask({"text": "Hello.", "reply_mode": "audio"})
        found = []
        for part in Part:
            pid = stack.pid(part)
            found.append(Process(part.value, *held_mib(pid)))
            if part is Part.AGENT:  # its workers are called `edgevoice engine STAGE NAME`
                engines = ((child, argv[0].split()[2]) for child, argv in children(pid).items())
                found += [Process(f"  {stage}, scripted", *held_mib(child)) for child, stage in engines]
    return [*found, Process("Python with paho-mqtt", await asyncio.to_thread(_bare_mib))]


def _bare_mib() -> float:
    """What a process holds that does no more than import an MQTT client."""
    status = subprocess.run([sys.executable, "-c", _BARE], check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / _KIB


async def _measure_growth(amounts: dict[str, int]) -> list[Growth]:
    results = []
    for question in (typed(), spoken()):
        async with busy() as (stack, depth):
            await queue(stack, question, _WARM_UP, depth)
            before, _ = held_mib(stack.pid(Part.AGENT))
            amount = amounts[question.name]
            await queue(stack, question, amount, depth, already=_WARM_UP)
            after, _ = held_mib(stack.pid(Part.AGENT))
        size = len(question.encode(uuid.uuid4().hex.encode()))
        results.append(Growth(question.name, amount, size / _KIB, (after - before) * _KIB / amount))
    return results


async def _measure_peaks(failures: list[str]) -> list[Peak]:
    results = []
    size_mib = large_clips.LENGTH_S * 32_000 / _MIB
    for form in large_clips.FORMS:  # each in an agent that has not grown yet
        settings = StackSettings.scripted(
            environment=large_clips.ENVIRONMENT, broker=large_clips.BROKER, parts=(Part.BROKER, Part.AGENT)
        )
        async with AsyncExitStack() as exits:
            stack = await exits.enter_async_context(Stack(settings))
            device = exits.enter_context(Device.connected(stack.mqtt(), stack.topics))
            send = large_clips.senders(device, stack.topics)[form]
            await device.ask({"text": "Hello."})
            pid = stack.pid(Part.AGENT)
            memory = Memory.watching(pid)
            heard = await send("long")
            if why := large_clips.failed(heard):
                failures.append(f"{form}: {why}")
            memory = memory.looked_at(pid)
        before = memory.before_mib
        results.append(Peak(form, size_mib, memory.peak_mib - before, memory.after_mib - before))
    return results


def _rest_table(results: Sequence[Process]) -> Table:
    shown = table("At rest", ("process",), ("resident MiB", "own MiB"))
    for one in results:
        shown.add_row(one.process, f"{one.resident_mib:.1f}", "" if one.own_mib is None else f"{one.own_mib:.1f}")
    return shown


def _growth_table(results: Sequence[Growth]) -> Table:
    shown = table("Requests that wait", ("question",), ("requests", "KiB each", "the agent grew KiB each"))
    for one in results:
        shown.add_row(one.question, str(one.requests), f"{one.request_kib:.1f}", f"{one.growth_kib:.1f}")
    return shown


def _peak_charts(results: Sequence[Peak]) -> list[Chart]:
    bars = {one.form: {"peak": one.peak_mib} for one in results}
    return [Chart("A clip of ten minutes", "MiB", bars)] if bars else []


def _peak_table(results: Sequence[Peak]) -> Table:
    shown = table("A clip of ten minutes", ("it comes as",), ("clip MiB", "peak MiB more", "then MiB more"))
    for one in results:
        shown.add_row(one.form, f"{one.clip_mib:.1f}", f"{one.peak_mib:.1f}", f"{one.left_mib:.1f}")
    return shown


if __name__ == "__main__":
    sys.exit(main("memory", __doc__, add_arguments, run))
