"""How long a line of text takes while somebody else sends clips of ten minutes.

The same agent, with engines that answer at once, is asked one line of text after the other over MQTT: while nothing
else is sent; while another client sends clips of ten minutes in pieces of 64 kB, one clip after the other, as fast as
the broker takes them; and while it sends each as one message of 19 MB. In turn, every second round backwards.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rich.table import Table

from agent.stack import Part, Stack, StackSettings
from agent.stack.child import Child
from benchmarks import large_clips
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.mqtt_load import MqttLoad
from benchmarks.outcome import Outcome, Verdict
from benchmarks.plot import Chart
from benchmarks.questions import typed
from benchmarks.rounds import in_turn
from benchmarks.spread import Spread

AIM_MS = 5.0
"""The most that a line of text is to take while clips arrive in pieces, half of the times."""
_NOTHING = "nothing"
_WAYS = (_NOTHING, *reversed(large_clips.FORMS))
_ANSWERED = b'"status":"ok"'
_SENDER = "sender"
_UNDER_WAY_S = 1.5


@dataclass(frozen=True)
class Figures:
    """How long a line of text took meanwhile."""

    meanwhile: str
    ms: Spread
    failures: int
    clips: int
    """How many of ten minutes were sent, and answered, meanwhile."""


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a question or a clip was not answered."""
    console = introduced(__doc__)
    rounds, seconds = (1, 0.5) if arguments.quick else (5, 4.0)
    failures: list[str] = []
    with console.status("Asking ..."):
        results = await _measure(rounds, seconds, failures)
    pieces = results[1]
    return Outcome(
        "arriving",
        {"rounds": rounds, "seconds": seconds, "clip_s": large_clips.LENGTH_S},
        results,
        tables=[_table(results)],
        charts=[
            Chart(
                "A line of text while clips of ten minutes arrive",
                "ms",
                {one.meanwhile: {"p50": one.ms.p50, "p99": one.ms.p99} for one in results},
                log=True,
            )
        ],
        verdicts=[Verdict(f"p50 while they arrive in {pieces.meanwhile}", pieces.ms.p50, AIM_MS, " ms")],
        failures=[*failures, *(f"{one.failures} lines of text" for one in results if one.failures)],
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick="one short turn each: rough")


async def _measure(rounds: int, seconds: float, failures: list[str]) -> list[Figures]:
    took: dict[str, list[float]] = {way: [] for way in _WAYS}
    wrong, clips = dict.fromkeys(_WAYS, 0), dict.fromkeys(_WAYS, 0)
    settings = StackSettings.scripted(
        environment=large_clips.ENVIRONMENT,
        broker=large_clips.BROKER,
        users=(_SENDER,),
        parts=(Part.BROKER, Part.AGENT),
    )
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(settings))
        load = exits.enter_context(MqttLoad.connected(stack.mqtt(), stack.topics, _ANSWERED))
        await load.ask(typed(), in_flight=1, seconds=0.2)
        for number in range(rounds):
            for way in in_turn(_WAYS, number):
                async with _sending(stack, way, failures) as answered:
                    began = answered()
                    block = await load.ask(typed(), in_flight=1, seconds=seconds)
                    clips[way] += answered() - began
                took[way] += [1_000 * each for each in block.latencies_s]
                wrong[way] += block.failures
    return [Figures(way, Spread.of(took[way]), wrong[way], clips[way]) for way in _WAYS]


@asynccontextmanager
async def _sending(stack: Stack, form: str, failures: list[str]) -> AsyncIterator[Callable[[], int]]:
    """Somebody else sends clips in this form, by another process, as it would be; yields how many were answered."""
    if form == _NOTHING:
        yield lambda: 0
        return
    settings = stack.mqtt(_SENDER).model_dump_json()
    argv = [sys.executable, "-m", "benchmarks.clip_sender", form, stack.settings.agent, settings]
    log = stack.folder / "sender.log"
    log.write_bytes(b"")
    sender = Child("the sender", argv, log=log)
    await sender.start()
    try:
        await asyncio.sleep(_UNDER_WAY_S)  # it imports, makes its clip and connects
        yield lambda: log.read_bytes().count(b"answered\n")
        if not sender.running:
            failures.append(f"{form}: {log.read_text(encoding='utf-8')}")
    finally:
        await sender.kill()


def _table(results: Sequence[Figures]) -> Table:
    shown = table("A line of text", ("meanwhile is sent",), ("clips", "answers", "p50 ms", "p99 ms", "failed"))
    for one in results:
        counts = (str(one.clips), str(one.ms.n))
        shown.add_row(one.meanwhile, *counts, f"{one.ms.p50:.2f}", f"{one.ms.p99:.2f}", str(one.failures or ""))
    return shown


if __name__ == "__main__":
    sys.exit(main("arriving", __doc__, add_arguments, run))
