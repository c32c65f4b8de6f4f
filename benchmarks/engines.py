"""How fast each engine that is installed here is, alone: every figure is of the engine in its own process.

Loading: from nothing to the first answer, and the memory that its process then holds. Speech to text: time by length
of the clip, as a share of that length (real-time factor, below 1 is faster than it was spoken). Language model: prompt
and answer tokens a second at 1, 2, 4 and 8 conversations at once, all of them together. Text to speech: time as a
share of the speech's length.

Options of an engine are those of the agent's settings, where these name that engine. Clips are spoken by the first
voice that can be loaded here.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from rich.console import Console

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines import registry
from agent.engines.budget import MemoryBudget
from agent.engines.host import EngineHost, LanguageModelHost, SpeechToTextHost, TextToSpeechHost
from agent.engines.opening import Opener
from agent.engines.settings import EngineSettings
from agent.errors import EngineError
from agent.settings import Settings
from benchmarks.command import add_usual, introduced, main
from benchmarks.engine_figures import Measured, charts, tables
from benchmarks.outcome import Outcome

CLIPS_S = (1, 3, 10, 30)
AT_ONCE = (1, 2, 4, 8)
TEXT = (
    "The capital of France is Paris. A week has seven days, and a year has twelve months. "
    "Please close the window before it rains, and turn off the lights in the kitchen. "
)
_QUESTION = "Tell me in many words about the number {number}, and then count up from it. " + 3 * TEXT
_ANSWER_TOKENS = 48
_NAMES = sorted({name for names in registry.ENGINES.values() for name in names if name != "scripted"})
_MIB = 2**20


@dataclass(frozen=True)
class Bench:
    """Opens engines as the agent does, and measures them."""

    settings: Settings
    repeats: int
    only: tuple[str, ...] = ()
    """Engines to measure; all that are installed where there are none."""

    def installed(self, stage: Stage) -> list[str]:
        """The engines of `stage` that can be loaded here, but for the scripted one."""
        found = []
        for name, leaf in registry.leaves(stage).items():
            if name != "scripted" and not leaf.missing(
                leaf.Options.model_validate(self._options(stage, name)), self.settings.models_dir
            ):
                found.append(name)
        return found

    @asynccontextmanager
    async def opened(self, stage: Stage, name: str) -> AsyncIterator[tuple[EngineHost, Measured]]:
        """The engine, loaded and warm, and what that took."""
        opener = Opener(self.settings.models_dir, MemoryBudget(self.settings.memory), on_change=lambda: None)
        started = time.monotonic()
        host = await opener.open(stage, EngineSettings(name=name, options=self._options(stage, name)))
        try:
            info, memory = host.info, host.state.memory_bytes or 0
            load_s = time.monotonic() - started
            yield host, Measured(stage.value, name, info.model, info.device, load_s, memory // _MIB)
        finally:
            await host.close()

    async def hear(self, name: str, clips: dict[int, Audio]) -> Measured:
        """Real-time factor by length of the clip."""
        async with self.opened(Stage.STT, name) as (host, measured):
            stt = cast("SpeechToTextHost", host)
            for length_s, clip in clips.items():
                took = [await _took(stt.transcribe(clip, language="en", prompt="")) for _ in range(self.repeats)]
                measured.figures[f"{length_s} s rtf"] = statistics.median(took) / clip.duration_s
        return measured

    async def answer(self, name: str) -> Measured:
        """Tokens a second, by conversations at once."""
        async with self.opened(Stage.LLM, name) as (host, measured):
            llm = cast("LanguageModelHost", host)
            for at_once in AT_ONCE:
                rounds = [await _answer(llm, at_once, seed=turn) for turn in range(self.repeats)]
                prefill, decode = (statistics.median(each) for each in zip(*rounds, strict=True))
                measured.figures[f"{at_once} x prefill tok/s"] = prefill
                measured.figures[f"{at_once} x decode tok/s"] = decode
        return measured

    async def speak(self, name: str) -> Measured:
        """Real-time factor of a sentence, and of a paragraph."""
        async with self.opened(Stage.TTS, name) as (host, measured):
            tts = cast("TextToSpeechHost", host)
            for what, text in (("sentence rtf", TEXT.partition(". ")[0] + "."), ("paragraph rtf", TEXT)):
                shares = []
                for _ in range(self.repeats):
                    started = time.monotonic()
                    speech = await tts.synthesize(text, voice=None, speed=1.0)
                    shares.append((time.monotonic() - started) / speech.duration_s)
                measured.figures[what] = statistics.median(shares)
        return measured

    async def speech(self) -> dict[int, Audio]:
        """Clips of each length, spoken by the first voice there is."""
        names = self.installed(Stage.TTS)
        if not names:
            raise EngineError(Stage.TTS, "no voice can be loaded here, so there is nothing to hear")
        async with self.opened(Stage.TTS, names[-1] if "flite" not in names else "flite") as (host, _):
            spoken = await cast("TextToSpeechHost", host).synthesize(TEXT, voice=None, speed=1.0)
        return {
            length_s: Audio(np.resize(spoken.samples, length_s * spoken.sample_rate), spoken.sample_rate)
            for length_s in CLIPS_S
        }

    def _options(self, stage: Stage, name: str) -> dict[str, Any]:
        wanted: EngineSettings = getattr(self.settings, stage.value)
        options = dict(wanted.options) if wanted.name == name else {}
        if "slots" in registry.leaf(stage, name).Options.model_fields:
            options.setdefault("slots", max(AT_ONCE))
        return options


async def measure(bench: Bench, console: Console) -> list[Measured]:
    """Every installed engine, one after the other."""
    results = []
    with console.status("Speaking the clips ..."):
        clips = await bench.speech()
    for stage in Stage:
        for name in bench.installed(stage):
            if bench.only and name not in bench.only:
                continue
            with console.status(f"{stage.value}: {name} ..."):
                if stage is Stage.STT:
                    results.append(await bench.hear(name, clips))
                else:
                    results.append(await (bench.answer if stage is Stage.LLM else bench.speak)(name))
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and where the figures go."""
    add_usual(parser, quick="everything once: rough")
    parser.add_argument(
        "--engines", nargs="+", default=[], choices=_NAMES, metavar="NAME", help="only these (default: all)"
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    bench = Bench(Settings(), repeats=1 if arguments.quick else 5, only=tuple(arguments.engines))
    console = introduced(__doc__)
    results = await measure(bench, console)
    outcome = Outcome("engines", {"repeats": bench.repeats}, results, tables=tables(results), charts=charts(results))
    return outcome.tell(console, arguments.folder)


async def _took(work: Any) -> float:
    started = time.monotonic()
    await work
    return time.monotonic() - started


async def _answer(llm: LanguageModelHost, at_once: int, *, seed: int) -> tuple[float, float]:
    """Prompt tokens a second until the last conversation has its first word, answer tokens a second from there."""
    started = time.monotonic()
    firsts: list[float] = []
    read = written = 0

    async def converse(number: int) -> None:
        nonlocal read, written
        question = [Message(role=Role.USER, content=_QUESTION.format(number=1_000 * seed + 10 * at_once + number))]
        told = False
        async for delta in llm.chat(question, Sampling(max_tokens=_ANSWER_TOKENS)):
            if delta.text and not told:
                told = True
                firsts.append(time.monotonic() - started)
            read += delta.prompt_tokens
            written += delta.completion_tokens

    await asyncio.gather(*(converse(number) for number in range(at_once)))
    first_s, whole_s = max(firsts, default=0.0), time.monotonic() - started
    return read / (first_s or whole_s), max(0, written - at_once) / max(whole_s - min(firsts, default=0.0), 1e-9)


if __name__ == "__main__":
    sys.exit(main("engines", __doc__, add_arguments, run))
