"""The same model of llama.cpp with its weights in other types: what becomes of its answers, and how fast it writes.

SmolLM2 as it comes, and as `edgevoice models requantize` writes it anew, here into a folder that is removed afterwards.
Each is asked forty questions of common knowledge, three times with other luck, eight at once; an answer is right where
it says what it should. Then it writes eight answers at once, and reads a long question.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.table import Table

from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role
from agent.engines.base import AsyncLanguageModel, Delta
from agent.engines.settings import EngineSettings
from agent.model_files.gguf import find_gguf
from agent.models.catalogue import WeightType
from agent.models.progress import Tracker
from agent.settings import Settings
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.facts import FACTS
from benchmarks.outcome import Outcome, Verdict
from benchmarks.plot import Chart
from benchmarks.speech import writing

MODEL = "smollm2-135m"
_TYPES: Sequence[WeightType] = ("q8_0", "q4_0")
BEST: WeightType = "q8_0"
"""The fastest type that keeps the answers."""
AIM_KEPT = 0.9
"""The least share of the answers that are right as it comes, which are to be right then, too."""
_AS_IT_COMES = "as it comes"
_SEEDS = (1, 2, 3)
_ANSWER_TOKENS, _STREAM_TOKENS, _STREAMS = 32, 48, 8
_LONG_WORDS = 300


@dataclass(frozen=True)
class Figures:
    """How the model fares with one type of weights."""

    weights: str
    size_mb: float
    right: int
    asked: int
    read_per_second: float
    """Tokens of a long question."""
    one_per_second: float
    """Tokens of an answer by itself."""
    all_per_second: float
    """Tokens of all answers, where eight are written at once."""


def requantized(weights: WeightType, folder: Path) -> Path:
    """SmolLM2 in `folder` with its weights in another type."""
    from agent.models.gguf_weights import GgufWeights  # noqa: PLC0415 - `make bench` brings gguf

    path = folder / f"{MODEL}-{weights}.gguf"
    GgufWeights(find_gguf(MODEL, Settings().models_dir), weights).write(path, Tracker(lambda *_: None, None))
    return path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick=f"as it comes and as {BEST}, and every eighth question")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    console = introduced(__doc__)
    types = (BEST,) if arguments.quick else _TYPES
    facts = FACTS[::8] if arguments.quick else FACTS
    with console.status("Asking ..."), tempfile.TemporaryDirectory() as folder:
        paths = {_AS_IT_COMES: find_gguf(MODEL, Settings().models_dir)}
        for weights in types:
            paths[weights] = await asyncio.to_thread(requantized, weights, Path(folder))
        results = [await _measure(weights, path, facts) for weights, path in paths.items()]
    right = {one.weights: one.right for one in results}
    return Outcome(
        "weights",
        {"questions": len(facts), "tokens": _ANSWER_TOKENS, "streams": _STREAMS},
        results,
        tables=[_table(results)],
        charts=[
            Chart("Eight answers at once", "tokens/s", {one.weights: {MODEL: one.all_per_second} for one in results})
        ],
        verdicts=[
            Verdict(
                f"Right answers with {BEST}, by those {_AS_IT_COMES}",
                right[BEST] / right[_AS_IT_COMES],
                AIM_KEPT,
                " x",
                at_least=True,
            )
        ],
    ).tell(console, arguments.folder)


async def _measure(weights: str, path: Path, facts: Sequence[tuple[str, str]]) -> Figures:
    size_bytes = await asyncio.to_thread(lambda: path.stat().st_size)
    async with writing(EngineSettings(name="llamacpp", options={"model": str(path)})) as llm:
        await _answer(llm, "Hello.", 1)
        right = await _count_right(llm, facts)
        _, long = await _answer(llm, "Count these: " + "apple " * _LONG_WORDS, 1)
        _, alone = await _answer(llm, "Tell me a story about a bird.", _STREAM_TOKENS)
        began = perf_counter()
        stories = (_answer(llm, f"Tell me a story about {number} birds.", _STREAM_TOKENS) for number in range(_STREAMS))
        written = sum(end.completion_tokens for _, end in await asyncio.gather(*stories))
        took_s = perf_counter() - began
    return Figures(
        weights,
        size_bytes / 1e6,
        right,
        len(facts) * len(_SEEDS),
        long.prefill_tok_s or 0.0,
        alone.decode_tok_s or 0.0,
        written / took_s,
    )


async def _count_right(llm: AsyncLanguageModel, facts: Sequence[tuple[str, str]]) -> int:
    right = 0
    asked = [(question, wanted, seed) for question, wanted in facts for seed in _SEEDS]
    for start in range(0, len(asked), _STREAMS):
        some = asked[start : start + _STREAMS]
        answers = await asyncio.gather(*(_answer(llm, question, _ANSWER_TOKENS, seed) for question, _, seed in some))
        right += sum(_is_right(text, wanted) for (text, _), (_, wanted, _) in zip(answers, some, strict=True))
    return right


async def _answer(llm: AsyncLanguageModel, question: str, most: int, seed: int = 1) -> tuple[str, Delta]:
    sampling = Sampling(max_tokens=most, seed=seed)
    deltas = [delta async for delta in llm.chat([Message(role=Role.USER, content=question)], sampling)]
    return "".join(delta.text for delta in deltas), deltas[-1]


def _is_right(answer: str, wanted: str) -> bool:
    return re.search(rf"\b(?:{wanted})\b", answer, re.IGNORECASE) is not None


def _table(results: Sequence[Figures]) -> Table:
    columns = ("MB", "right", "reads tokens/s", "writes tokens/s", "eight at once tokens/s")
    shown = table("Weights", ("weights",), columns)
    for one in results:
        rates = (f"{rate:.0f}" for rate in (one.size_mb, one.read_per_second, one.one_per_second, one.all_per_second))
        size, *others = rates
        shown.add_row(one.weights, size, f"{one.right} of {one.asked}", *others)
    return shown


if __name__ == "__main__":
    sys.exit(main("weights", __doc__, add_arguments, run))
