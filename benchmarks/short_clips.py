"""What whisper.cpp saves by looking at a short clip only as far as it goes, and whether it hears the same.

Three engines with the same model, each in its own process, hear the same clips in turn. `fitted`: EdgeVoice's default,
an audio context as long as the clip and some more, then longer ones while the text is doubtful. `whole`: the same
without that, so that every clip costs as much as 30 s. `library`: `whole` with flash attention, which is whisper.cpp's
own default.

With --model, the clips are sentences, spoken by a voice that is installed here. A text counts as the same where it has
the words that `whole` heard; `errors` are words that differ from what was spoken, of all that were. Without a model, a
stand-in with a real model's dimensions and made-up weights is written on the fly: it costs as much as the real one, but
hears the same nine words in any clip, so its texts and errors say nothing.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from agent.audio import Audio
from agent.engines.base import AsyncSpeechToText
from agent.engines.settings import EngineSettings
from agent.evaluation.words import word_errors
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.outcome import Outcome
from benchmarks.plot import Chart
from benchmarks.speech import hearing, spoken
from tests.ggml_model import FULL_SIZE, scripted_model

WAYS: Mapping[str, Mapping[str, Any]] = {
    "fitted": {},
    "whole": {"fit_audio_context": False},
    "library": {"fit_audio_context": False, "flash_attn": True},
}
"""The engines, by their options."""
SENTENCES = (
    "Stop.",
    "Turn on the light.",
    "What is the capital of France?",
    "Please close the window before it begins to rain.",
    "Wake me up at seven tomorrow morning, and tell me what the weather will be like.",
    "I would like to know how long it takes to walk from the station to the museum, and whether there is a bus.",
    "Read me the news of today, but leave out the sports, and stop at a quarter past nine, because I have to go then.",
    "Put milk, bread and some coffee on my list, and remind me of it near the market. Then tell my brother to wait.",
)
"""What is said to a real model, from under a second to several."""
LENGTHS_S = (1, 2, 3, 5, 8, 12, 20)
"""Clips of noise for a stand-in."""
_STAND_IN_WORDS = "these are nine words that nobody has ever said"


@dataclass(frozen=True)
class Clip:
    """What is heard, and what was said in it where that is known."""

    audio: Audio
    said: str | None = None


@dataclass(frozen=True)
class Hearing:
    """How one engine heard one clip."""

    clip_s: float
    way: str
    median_ms: float
    best_ms: float
    times_faster: float
    """How many times as fast as `whole`, by the medians."""
    same_words: bool
    """As `whole` heard."""
    errors: int | None
    words: int | None
    heard: str


async def measure(model: Path, clips: Sequence[Clip], *, rounds: int, threads: int | None) -> list[Hearing]:
    """Every clip by every engine; they alternate, so that a busy neighbour on this machine hits them all."""
    results: list[Hearing] = []
    async with _engines(model, threads) as engines:
        for clip in clips:
            took: dict[str, list[float]] = {way: [] for way in WAYS}
            heard: dict[str, str] = {}
            for _ in range(rounds):
                for way, engine in engines.items():
                    started = time.perf_counter()
                    heard[way] = (await engine.transcribe(clip.audio, language="en", prompt="")).text
                    took[way].append(1_000 * (time.perf_counter() - started))
            results += [_hearing(clip, way, took, heard) for way in WAYS]
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, how often, and where the figures go."""
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a whisper model in ggml format (default: a stand-in)"
    )
    parser.add_argument(
        "--size", choices=FULL_SIZE, help="the stand-in's dimensions (default: base.en, with --quick tiny.en)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores but one)")
    add_usual(parser, quick="every other clip, once: rough")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 0 also where there is nothing to measure with."""
    console = introduced(__doc__)
    if find_spec("_pywhispercpp") is None:
        console.print("pywhispercpp is not installed, so nothing was measured.")
        return 0
    rounds, step = (1, 2) if arguments.quick else (5, 1)
    size = arguments.size or ("tiny.en" if arguments.quick else "base.en")
    with tempfile.TemporaryDirectory() as folder, console.status("Listening ..."):
        if arguments.model:
            said = SENTENCES[::step]
            model = arguments.model
            clips = [Clip(clip, text) for clip, text in zip(await spoken(said), said, strict=True)]
        else:
            model = scripted_model(Path(folder) / f"ggml-{size}.bin", _STAND_IN_WORDS, shape=FULL_SIZE[size])
            clips = [Clip(_noise(length_s)) for length_s in LENGTHS_S[::step]]
        results = await measure(model, clips, rounds=rounds, threads=arguments.threads)
    what = str(arguments.model) if arguments.model else f"a stand-in for {size}, made-up weights: its cost only"
    bars = {
        f"{clip_s:g} s": {one.way: one.median_ms for one in group}
        for clip_s, group in groupby(results, key=lambda one: one.clip_s)
    }
    return Outcome(
        "short_clips",
        {"model": what, "rounds": rounds, "threads": arguments.threads},
        results,
        tables=[_table(what, results)],
        charts=[Chart("Time to hear a clip, by audio context", "ms", bars)],
    ).tell(console, arguments.folder)


@asynccontextmanager
async def _engines(model: Path, threads: int | None) -> AsyncIterator[dict[str, AsyncSpeechToText]]:
    """One of each way, loaded and warm."""
    async with AsyncExitStack() as stack:
        engines = {}
        for way, options in WAYS.items():
            engine = EngineSettings(name="whispercpp", options={"model": str(model), "threads": threads, **options})
            engines[way] = await stack.enter_async_context(hearing(engine))
            await engines[way].transcribe(_noise(1), language="en", prompt="")
        yield engines


def _noise(length_s: float) -> Audio:
    samples = np.random.default_rng(1).normal(0, 0.1, round(16_000 * length_s))
    return Audio(samples.clip(-1, 1).astype(np.float32), 16_000)


def _hearing(clip: Clip, way: str, took: Mapping[str, Sequence[float]], heard: Mapping[str, str]) -> Hearing:
    median_ms = statistics.median(took[way])
    return Hearing(
        clip_s=round(clip.audio.duration_s, 2),
        way=way,
        median_ms=median_ms,
        best_ms=min(took[way]),
        times_faster=statistics.median(took["whole"]) / median_ms,
        same_words=_words(heard[way]) == _words(heard["whole"]),
        errors=None if clip.said is None else word_errors(clip.said, heard[way]),
        words=None if clip.said is None else len(clip.said.split()),
        heard=heard[way],
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _table(title: str, results: Sequence[Hearing]) -> Table:
    figures = ("median ms", "best ms", "x as fast", "real-time factor", "same words", "errors")
    shown = table(title, ("clip s", "audio context"), figures)
    for clip_s, group in groupby(results, key=lambda one: one.clip_s):
        for number, one in enumerate(group):
            shown.add_row("" if number else f"{clip_s:g}", one.way, *_cells(one))
        shown.add_section()
    return shown


def _cells(one: Hearing) -> tuple[str, ...]:
    return (
        f"{one.median_ms:.0f}",
        f"{one.best_ms:.0f}",
        f"{one.times_faster:.1f}",
        f"{one.median_ms / 1_000 / one.clip_s:.2f}",
        "yes" if one.same_words else "no",
        "" if one.errors is None else f"{one.errors} of {one.words}",
    )


if __name__ == "__main__":
    sys.exit(main("short_clips", __doc__, add_arguments, run))
