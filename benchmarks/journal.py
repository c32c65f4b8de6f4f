"""What the journal costs: the same agent with synchronous NORMAL, with FULL, and with nothing written down at all.

Three agents behind one broker, each with engines that answer at once, asked a line of text in turn over MQTT by the
same client: one question at a time, for what a request waits longer, and 64 at once, for what fewer are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from agent.signals import until_signalled
from agent.stack import Part, Stack, StackSettings
from benchmarks import unjournalled_agent
from benchmarks.agents import Make, running
from benchmarks.load import Block, Load
from benchmarks.mqtt_load import MqttLoad
from benchmarks.questions import typed
from benchmarks.report import Case, Figures, figures, table, write
from benchmarks.turns import Plan, take_turns

FOLDER = Path(".edgevoice/bench")
AIM_ADDED_MS = 1.0
"""The most that NORMAL is to add to the p50 of one question at a time [ms]."""
AIM_KEPT = 0.75
"""The least share of the replies a second that NORMAL is to leave, with many in flight."""
FULL = Plan(rounds=8, seconds=1.0, in_flight=(1, 64))
QUICK = Plan(rounds=2, seconds=0.2, in_flight=FULL.in_flight)
_ANSWERED = b'"status":"ok"'
_BROKER = "as EdgeVoice ships it"
_COLUMNS = 120
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
    parser.add_argument("--quick", action="store_true", help="two short turns each: rough")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns of every agent (default: {FULL.rounds})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"length of a turn (default: {FULL.seconds:g})")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="where the figures go, as JSON, and meanwhile the journals, whose disk counts (default: %(default)s)",
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows the table, writes the file; 1 where a question was not answered."""
    usual = QUICK if arguments.quick else FULL
    plan = Plan(arguments.rounds or usual.rounds, arguments.seconds or usual.seconds, usual.in_flight)
    console = Console(width=_COLUMNS, highlight=False)
    console.print((__doc__ or "").strip())
    with TemporaryDirectory(dir=_made(arguments.folder), prefix="journals-") as journals, console.status("Asking ..."):
        results = await measure(plan, Path(journals))
    console.print()
    console.print(table("The journal", results))
    for line in _verdicts(results):
        console.print(line)
    path = write(arguments.folder, "journal", asdict(plan), results)
    console.print(f"The figures: {path}", soft_wrap=True)
    return int(any(one.failures for one in results))


def _made(folder: Path) -> Path:
    """Absolute: the agents, too, find the journals there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _compared(case: Case, blocks: Mapping[Written, Sequence[Block]]) -> list[Figures]:
    floor = figures(case, Written.NOTHING.value, blocks[Written.NOTHING])
    others = [written for written in Written if written is not Written.NOTHING]
    return [floor, *(figures(case, written.value, blocks[written], floor=[floor]) for written in others)]


def _verdicts(results: Sequence[Figures]) -> list[str]:
    """How NORMAL, the default, does beside its aims; FULL is the operator's own choice."""
    by_case = {(one.case.in_flight, one.peer): one for one in results}
    one_at_a_time, many = FULL.in_flight
    added_ms = by_case[one_at_a_time, Written.NORMAL.value].added_ms or 0.0
    kept = by_case[many, Written.NORMAL.value].per_second / by_case[many, Written.NOTHING.value].per_second
    waits = (
        f"NORMAL, {one_at_a_time} in flight: p50 {added_ms:+.2f} ms; aim {AIM_ADDED_MS:+g} ms at most: "
        f"{_met(added_ms <= AIM_ADDED_MS)}"
    )
    answers = (
        f"NORMAL, {many} in flight: {kept:.0%} of the replies a second; aim {AIM_KEPT:.0%} at least: "
        f"{_met(kept >= AIM_KEPT)}"
    )
    return [waits, answers]


def _met(aim: bool) -> str:
    return "met" if aim else "MISSED"


def main() -> int:
    """`python -m benchmarks.journal`."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.journal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return asyncio.run(until_signalled(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
