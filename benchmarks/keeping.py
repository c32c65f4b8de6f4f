"""The same clips by an engine that stays, and by its bare library in a process for each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from agent.audio import Audio
from agent.contract.terms import Stage
from agent.engines.base import AsyncSpeechToText
from agent.engines.registry import leaf
from agent.engines.settings import EngineSettings
from agent.settings import Settings
from benchmarks.command import table
from benchmarks.peers.naive_server import output_of_stage
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn, ratio
from benchmarks.speech import RATE_HZ, hearing
from benchmarks.spread import Spread
from tests.ggml_model import FULL_SIZE, scripted_model

_STAND_IN_WORDS = "these are nine words that nobody has ever said"
_STAND_IN = "tiny.en"

Hear = Callable[[Audio], Awaitable[object]]


@dataclass(frozen=True)
class Kept:
    """How one way to hear a clip fared."""

    engine: str
    clip_s: int
    way: str
    took_s: Spread
    times: float
    """How many times as long a process a request takes."""


async def measure_keeping(speech: Audio, lengths: Sequence[int], rounds: int, remarks: list[str]) -> list[Kept]:
    """Clips of these lengths [s] out of `speech`; `remarks` gets what was left out."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        model = scripted_model(Path(folder) / f"ggml-{_STAND_IN}.bin", _STAND_IN_WORDS, shape=FULL_SIZE[_STAND_IN])
        for engine, options in (("pocketsphinx", {}), ("whispercpp", {"model": str(model)})):
            if why := _missing(engine, options):
                remarks.append(f"{engine} was not measured: {why}")
                continue
            async with _ways(engine, options, model) as ways:
                for length in lengths:
                    results += await _compare(engine, _clip(speech, length), ways, rounds)
    return results


def _missing(engine: str, options: Mapping[str, str]) -> str | None:
    found = leaf(Stage.STT, engine)
    return found.missing(found.Options.model_validate(options), Settings().models_dir)


@asynccontextmanager
async def _ways(engine: str, options: Mapping[str, str], model: Path) -> AsyncIterator[dict[str, Hear]]:
    """The ways to hear a clip; the last is the naive one."""
    async with AsyncExitStack() as exits:
        ways: dict[str, Hear] = {}
        variants: dict[str, dict[str, Any]] = {"kept": dict(options)}
        if engine == "whispercpp":
            variants = {"kept, fitted": dict(options), "kept, all 30 s": {**options, "fit_audio_context": False}}
        for way, chosen in variants.items():
            stt = await exits.enter_async_context(hearing(EngineSettings(name=engine, options=chosen)))
            ways[way] = partial(_hear, stt)
        argument = str(model) if engine == "whispercpp" else ""
        yield {**ways, "a process a request": partial(_hear_anew, engine, argument)}


async def _compare(engine: str, clip: Audio, ways: Mapping[str, Hear], rounds: int) -> list[Kept]:
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in in_turn(ways, number):
            began = time.perf_counter()
            await ways[way](clip)
            took[way].append(time.perf_counter() - began)
    anew = took[list(ways)[-1]]
    return [Kept(engine, round(clip.duration_s), way, Spread.of(took[way]), ratio(anew, took[way])) for way in ways]


async def _hear(stt: AsyncSpeechToText, clip: Audio) -> str:
    return (await stt.transcribe(clip, language="en", prompt="")).text


async def _hear_anew(engine: str, model: str, clip: Audio) -> None:
    await output_of_stage(engine, clip.pcm16(), model)


def _clip(speech: Audio, length_s: int) -> Audio:
    return Audio(np.resize(speech.samples, length_s * RATE_HZ), RATE_HZ)


def kept_table(results: Sequence[Kept]) -> Table:
    """All of it."""
    shown = table("Kept, or started for each request", ("engine", "clip", "way"), ("s, p50 / highest", "x as fast"))
    for one in results:
        shown.add_row(one.engine, f"{one.clip_s} s", one.way, str(one.took_s), f"{one.times:.1f}")
    return shown


def kept_chart(results: Sequence[Kept]) -> Chart:
    """All of it."""
    bars: dict[str, dict[str, float]] = {}
    for one in results:
        bars.setdefault(f"{one.engine}, {one.clip_s} s", {})[one.way] = one.took_s.p50
    return Chart("Time to hear a clip", "s", bars)
