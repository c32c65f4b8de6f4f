"""How fast each engine that is installed here is, alone: every figure is of the engine in its own process.

Loading: from nothing to the first answer, and the memory that its process then holds. Speech to text: time by length
of the clip, as a share of that length (real-time factor, below 1 is faster than it was spoken). Language model: prompt
and answer tokens a second at 1, 2, 4 and 8 conversations at once, all of them together. Text to speech: time as a
share of the speech's length.

The last table is what keeping an engine saves: the same clip heard by the resident process, and by one that is started,
loaded and ended for each request, as programs do that call whisper.cpp's command line.

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
from pathlib import Path
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
from agent.signals import until_signalled
from benchmarks.engine_figures import Measured, tables
from benchmarks.report import write

FOLDER = Path(".edgevoice/bench")
CLIPS_S = (1, 3, 10, 30)
AT_ONCE = (1, 2, 4, 8)
TEXT = (
    "The capital of France is Paris. A week has seven days, and a year has twelve months. "
    "Please close the window before it rains, and turn off the lights in the kitchen. "
)
_QUESTION = "Tell me in many words about the number {number}, and then count up from it. " + 3 * TEXT
_ANSWER_TOKENS = 48
_COLUMNS = 120
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

    async def keep(self, name: str, clip: Audio) -> Measured:
        """The same clip, heard by the resident process and by one of its own each time."""
        async with self.opened(Stage.STT, name) as (host, measured):
            stt = cast("SpeechToTextHost", host)
            resident, anew = [], []
            for _ in range(self.repeats):  # in turn, so that a busy neighbour on this machine hits both
                resident.append(await _took(stt.transcribe(clip, language="en", prompt="")))
                anew.append(await _took(self._hear_once(name, clip)))
        kept_s, anew_s = statistics.median(resident), statistics.median(anew)
        measured.figures = {"resident s": kept_s, "process a request s": anew_s, "x": anew_s / kept_s}
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

    async def _hear_once(self, name: str, clip: Audio) -> None:
        async with self.opened(Stage.STT, name) as (host, _):
            await cast("SpeechToTextHost", host).transcribe(clip, language="en", prompt="")

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
                    results += [await bench.hear(name, clips), await bench.keep(name, clips[3])]
                else:
                    results.append(await (bench.answer if stage is Stage.LLM else bench.speak)(name))
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and where the figures go."""
    parser.add_argument("--quick", action="store_true", help="everything once: rough")
    parser.add_argument(
        "--engines", nargs="+", default=[], choices=_NAMES, metavar="NAME", help="only these (default: all)"
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the figures go, as JSON (default: %(default)s)"
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows the tables, writes the file."""
    bench = Bench(Settings(), repeats=1 if arguments.quick else 5, only=tuple(arguments.engines))
    console = Console(width=_COLUMNS, highlight=False)
    console.print((__doc__ or "").strip())
    results = await measure(bench, console)
    for table in tables(results):
        console.print(table)
    path = write(arguments.folder, "engines", {"repeats": bench.repeats}, results)
    console.print(f"The figures: {path}", soft_wrap=True)
    return 0


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


def main() -> int:
    """`python -m benchmarks.engines`."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return asyncio.run(until_signalled(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
