"""What the journal costs: the same agent with synchronous NORMAL, with FULL, and with nothing written down at all.

Three agents behind one broker, each with engines that answer at once, asked a line of text in turn over MQTT by the
same client: one question at a time, for what a request waits longer, and 64 at once, for what fewer are answered. The
journals lie, meanwhile, in the folder of the figures: its disk is part of what is measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.stack import Part, Stack, StackSettings
from benchmarks.agents import Make, running
from benchmarks.asking import Block, Load
from benchmarks.command import add_usual, introduced, main
from benchmarks.mqtt_load import MqttLoad
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers import unjournalled_agent
from benchmarks.plot import Chart
from benchmarks.questions import typed
from benchmarks.report import Case, Figures, figures, table
from benchmarks.turns import Plan, take_turns

AIM_ADDED_MS = 1.0
"""The most that NORMAL is to add to the p50 of one question at a time [ms]."""
AIM_KEPT = 0.75
"""The least share of the replies a second that NORMAL is to leave, with many in flight."""
FULL = Plan(rounds=8, seconds=1.0, in_flight=(1, 64))
QUICK = Plan(rounds=2, seconds=0.2, in_flight=FULL.in_flight)
_ANSWERED = b'"status":"ok"'
_BROKER = "as EdgeVoice ships it"
_SYNCHRONOUS = "EDGEVOICE_JOURNAL__SYNCHRONOUS"


class Written(str, Enum):
    """What becomes of a request before it is acknowledged; the first is the floor."""

    NOTHING = "no journal"
    NORMAL = "NORMAL: survives a kill"
    FULL = "FULL: a power cut, too"


MAKES = {
    Written.NOTHING: Make(unjournalled_agent.__name__),
    Written.NORMAL: Make(environment={_SYNCHRONOUS: "NORMAL"}),
    Written.FULL: Make(environment={_SYNCHRONOUS: "FULL"}),
}


async def measure(plan: Plan, folder: Path) -> list[Figures]:
    """Every case; the journals are in `folder`, whose disk is part of what is measured."""
    cases = {Case(_BROKER, typed().name, in_flight): typed() for in_flight in plan.in_flight}
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(StackSettings.scripted(parts=(Part.BROKER,))))
        loads: dict[Written, Load] = {}
        for written, make in MAKES.items():
            topics = await exits.enter_async_context(running(stack, written.name.lower(), make, folder=folder))
            loads[written] = exits.enter_context(MqttLoad.connected(stack.mqtt(), topics, _ANSWERED))
        blocks = await take_turns(plan, loads, cases)
    return [one for case in cases for one in _compared(case, {written: blocks[case, written] for written in Written})]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where journals and figures go."""
    add_usual(parser, quick="two short turns each: rough")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns of every agent (default: {FULL.rounds})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"length of a turn (default: {FULL.seconds:g})")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a question was not answered."""
    usual = QUICK if arguments.quick else FULL
    plan = Plan(arguments.rounds or usual.rounds, arguments.seconds or usual.seconds, usual.in_flight)
    console = introduced(__doc__)
    with TemporaryDirectory(dir=_made(arguments.folder), prefix="journals-") as journals, console.status("Asking ..."):
        results = await measure(plan, Path(journals))
    return Outcome(
        "journal",
        asdict(plan),
        results,
        tables=[table("The journal", results)],
        charts=_charts(results),
        verdicts=_verdicts(results),
        failures=[f"{one.peer}: {one.failures} without an answer" for one in results if one.failures],
    ).tell(console, arguments.folder)


def _made(folder: Path) -> Path:
    """Absolute: the agents, too, find the journals there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _compared(case: Case, blocks: Mapping[Written, Sequence[Block]]) -> list[Figures]:
    floor = figures(case, Written.NOTHING.value, blocks[Written.NOTHING])
    others = [written for written in Written if written is not Written.NOTHING]
    return [floor, *(figures(case, written.value, blocks[written], floor=[floor]) for written in others)]


def _charts(results: Sequence[Figures]) -> list[Chart]:
    waits: dict[str, dict[str, float]] = {}
    rates: dict[str, dict[str, float]] = {}
    for one in results:
        case = f"{one.case.in_flight} in flight"
        waits.setdefault(case, {})[one.peer] = one.p50_ms
        rates.setdefault(case, {})[one.peer] = one.per_second
    return [Chart("Wait, p50", "ms", waits, log=True), Chart("Replies", "replies/s", rates)]


def _verdicts(results: Sequence[Figures]) -> list[Verdict]:
    """How NORMAL, the default, does beside its aims; FULL is the operator's own choice."""
    by_case = {(one.case.in_flight, one.peer): one for one in results}
    one_at_a_time, many = FULL.in_flight
    added_ms = by_case[one_at_a_time, Written.NORMAL.value].added_ms or 0.0
    kept = by_case[many, Written.NORMAL.value].per_second / by_case[many, Written.NOTHING.value].per_second
    return [
        Verdict(f"NORMAL, {one_at_a_time} in flight: p50 more", added_ms, AIM_ADDED_MS, " ms"),
        Verdict(f"NORMAL, {many} in flight: replies a second by those without", kept, AIM_KEPT, " x", at_least=True),
    ]


if __name__ == "__main__":
    sys.exit(main("journal", __doc__, add_arguments, run))
