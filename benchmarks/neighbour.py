"""How fast the language model writes while another program keeps a core busy.

The agent as it comes, whose small model has one thread, and one like it with a thread for every core, as llama.cpp and
most that build on it have by default; each writes 64 tokens alone, and beside a process that does nothing but count. In
turn, every second round backwards. Threads that share a core wait for each other at every layer, so more of them may be
far slower: what is wanted is a speed that can be relied on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from agent.stack import Part, Stack, StackSettings
from agent.stack.child import Child
from benchmarks.agents import Make, running
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.device import Device
from benchmarks.outcome import Outcome, Verdict
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn

AIM_KEPT = 0.5
"""The least share of its speed that is to be left beside one busy neighbour."""
_OURS = "EdgeVoice"
_ALL_CORES = "a thread for every core"
_QUIET, _BUSY = "alone", "beside a busy neighbour"
_TOKENS = 64
_COUNT = "n = 0\nwhile True: n += 1"


@dataclass(frozen=True)
class Figures:
    """How fast one way to run it writes."""

    threads: str
    beside: str
    tokens_per_second: float
    """The median of the rounds."""
    slowest: float
    kept: float
    """Share of what the same writes alone."""


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    console = introduced(__doc__)
    rounds = 1 if arguments.quick else 6
    with console.status("Writing ..."):
        speeds = await _measure(rounds)
    results = [
        Figures(
            name,
            beside,
            statistics.median(each),
            min(each),
            statistics.median(each) / statistics.median(speeds[name, _QUIET]),
        )
        for (name, beside), each in speeds.items()
    ]
    bars = {one.threads: {each.beside: each.tokens_per_second for each in results if each.threads == one.threads}
            for one in results}  # fmt: skip
    kept = next(one.kept for one in results if (one.threads, one.beside) == (_OURS, _BUSY))
    return Outcome(
        "neighbour",
        {"rounds": rounds, "tokens": _TOKENS},
        results,
        tables=[_table(results)],
        charts=[Chart("Tokens a second", "tokens/s", bars)],
        verdicts=[Verdict(f"Of its speed alone, {_BUSY}", kept, AIM_KEPT, " x", at_least=True)],
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and where the figures go."""
    add_usual(parser, quick="one round: rough")


async def _measure(rounds: int) -> dict[tuple[str, str], list[float]]:
    """Tokens a second, round by round."""
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(StackSettings.scripted(parts=(Part.BROKER,))))
        devices: dict[str, Device] = {}
        for number, (name, options) in enumerate({_OURS: {}, _ALL_CORES: {"threads": os.cpu_count()}}.items()):
            make = Make(environment={"EDGEVOICE_LLM": json.dumps({"name": "llamacpp", "options": options})})
            agent = running(stack, f"writer{number}", make, folder=stack.folder)
            topics = await exits.enter_async_context(agent)
            devices[name] = exits.enter_context(Device.connected(stack.mqtt(), topics))
        speeds: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds):
            for beside in in_turn((_QUIET, _BUSY), number):
                async with _neighbour(stack.folder, busy=beside == _BUSY):
                    for name, device in devices.items():
                        speed = await _write(device, number)
                        speeds.setdefault((name, beside), []).append(speed)
    return {(name, beside): speeds[name, beside] for name in devices for beside in (_QUIET, _BUSY)}


async def _write(device: Device, number: int) -> float:
    """Tokens a second, from the first to the last."""
    question = f"Tell me a long story about {number + 2} birds and a tree."
    asked: dict[str, Any] = {"text": question, "params": {"max_tokens": _TOKENS}}
    reply = (await device.ask(asked)).reply
    return float(reply["rates"]["decode_tok_s"])


@asynccontextmanager
async def _neighbour(folder: Path, *, busy: bool) -> AsyncIterator[None]:
    """A process that keeps a core busy meanwhile."""
    if not busy:
        yield
        return
    child = Child("the neighbour", [sys.executable, "-c", _COUNT], log=folder / "neighbour.log")
    await child.start()
    try:
        await asyncio.sleep(0.2)
        yield
    finally:
        await child.kill()


def _table(results: Sequence[Figures]) -> Table:
    shown = table("Writing", ("threads", "beside"), ("tokens/s", "slowest", "of alone"))
    for one in results:
        shown.add_row(one.threads, one.beside, f"{one.tokens_per_second:.0f}", f"{one.slowest:.0f}", f"{one.kept:.2f}")
    return shown


if __name__ == "__main__":
    sys.exit(main("neighbour", __doc__, add_arguments, run))
