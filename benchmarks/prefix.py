"""How much sooner the second question behind a long instruction has its first word.

The agent, with llama.cpp and SmolLM2, is asked over MQTT with an instruction of some 400 tokens that it never saw, then
another question with the same one; time to the first word that is told. Round after round, each with an instruction of
its own. The peer is the agent itself as it reads all of the instruction, which a server without a memory does for
every question.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.device import Device
from benchmarks.outcome import Outcome, Verdict
from benchmarks.plot import Chart
from benchmarks.rounds import ratio
from benchmarks.spread import Spread

AIM_TIMES = 15.0
"""How many times sooner the second first word is to come."""
_WORDS = (
    *("bread", "water", "house", "light", "garden", "river", "city", "music", "paper", "window", "winter", "summer"),
    *("always", "never", "slowly", "kindly", "often", "today", "bring", "write", "close", "open", "count", "listen"),
)
_INSTRUCTION_WORDS = 375
_TOKENS = 4


@dataclass(frozen=True)
class Figures:
    """The first word after a question."""

    question: str
    first_word_ms: Spread
    prompt_tokens: int
    """Instruction and question together."""


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    console = introduced(__doc__)
    rounds = 2 if arguments.quick else 8
    with console.status("Asking ..."):
        cold, warm, tokens = await _measure(rounds)
    results = [Figures("the first", Spread.of(cold), tokens), Figures("the second", Spread.of(warm), tokens)]
    return Outcome(
        "prefix",
        {"rounds": rounds},
        results,
        tables=[_table(results)],
        charts=[
            Chart(
                f"First word behind {tokens} tokens",
                "ms",
                {one.question: {"p50": one.first_word_ms.p50} for one in results},
            )
        ],
        verdicts=[Verdict("The second first word comes sooner", ratio(cold, warm), AIM_TIMES, " x", at_least=True)],
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and where the figures go."""
    add_usual(parser, quick="two rounds: rough")


async def _measure(rounds: int) -> tuple[list[float], list[float], int]:
    """First words behind unknown and known instructions [ms], and the tokens of one."""
    settings = StackSettings.scripted(llm=EngineSettings(name="llamacpp"), parts=(Part.BROKER, Part.AGENT))
    chosen = random.Random(1)  # noqa: S311 - nobody has to be kept from guessing
    cold: list[float] = []
    warm: list[float] = []
    tokens = 0
    async with Stack(settings) as stack:
        with Device.connected(stack.mqtt(), stack.topics) as device:
            for _ in range(rounds):
                system = " ".join(chosen.choices(_WORDS, k=_INSTRUCTION_WORDS)).capitalize() + "."
                for question, took in (("What is first?", cold), ("And what comes after it?", warm)):
                    asked = {"text": question, "system": system, "stream": {}, "params": {"max_tokens": _TOKENS}}
                    heard = await device.ask(asked)
                    assert heard.first_token_s is not None, heard.reply
                    took.append(1_000 * heard.first_token_s)
                    tokens = heard.reply["usage"]["prompt_tokens"]
    return cold, warm, tokens


def _table(results: Sequence[Figures]) -> Table:
    shown = table("The first word", ("question",), ("tokens", "n", "p50 ms", "highest ms"))
    for one in results:
        spread = one.first_word_ms
        shown.add_row(one.question, str(one.prompt_tokens), str(spread.n), f"{spread.p50:.0f}", f"{spread.p99:.0f}")
    return shown


if __name__ == "__main__":
    sys.exit(main("prefix", __doc__, add_arguments, run))
