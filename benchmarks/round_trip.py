"""Question to answer without any engine's work: what EdgeVoice adds to the bare libraries it is made of.

Over MQTT: the agent, with engines that answer at once, against a bare paho client behind the same broker that sends
each question straight back. Over HTTP: the bridge before that agent, against a bare FastAPI app that does the same;
the floor is then both echoes together, because a bridge has both ways to go.

Text is a line of JSON; the clip is 3 s of WAV in base64 JSON, answered by text. All are asked in turn by the same
clients, with TCP_NODELAY and quick acknowledgements. MQTT is QoS 1 both ways; the agent keeps its journal. All of it
once through the Mosquitto that EdgeVoice ships, once through one without set_tcp_nodelay, as Debian ships it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from agent.signals import until_signalled
from benchmarks.load import Block
from benchmarks.peers import FLOORS, Peer, peers
from benchmarks.questions import spoken, typed
from benchmarks.report import Case, Figures, figures, table, write
from benchmarks.turns import Plan, take_turns

FOLDER = Path(".edgevoice/bench")
BROKERS: Mapping[str, Mapping[str, str]] = {
    "as EdgeVoice ships it": {},
    "as Debian ships it": {"set_tcp_nodelay": "false"},
}
"""The brokers, by what is changed in the shipped mosquitto.conf."""
AIMS_MS = {Peer.MQTT.value: 2.0, Peer.HTTP.value: 3.0}
"""The most that is to be added to the floor's p50, for text with one in flight [ms]."""
_COLUMNS = 120

FULL = Plan(rounds=5, seconds=1.0, in_flight=(1, 16, 64))
QUICK = Plan(rounds=1, seconds=0.2, in_flight=FULL.in_flight)


async def measure(plan: Plan, console: Console) -> list[Figures]:
    """Every case, through every broker."""
    results: list[Figures] = []
    for broker, directives in BROKERS.items():
        cases = {
            Case(broker, question.name, in_flight): question
            for question in (typed(), spoken())
            for in_flight in plan.in_flight
        }
        with console.status(f"Mosquitto {broker} ..."):
            async with peers(directives) as loads:
                blocks = await take_turns(plan, loads, cases)
        for case in cases:
            results += _compared(case, {peer: blocks[case, peer] for peer in Peer})
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    parser.add_argument("--quick", action="store_true", help="one short turn each: under 30 s, and rough")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns of every peer (default: {FULL.rounds})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"length of a turn (default: {FULL.seconds:g})")
    parser.add_argument(
        "--in-flight",
        type=int,
        nargs="+",
        metavar="N",
        help=f"questions open at once (default: {' '.join(map(str, FULL.in_flight))})",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the figures go, as JSON (default: %(default)s)"
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows the table, writes the file; 1 where a question was not answered."""
    usual = QUICK if arguments.quick else FULL
    plan = Plan(
        rounds=arguments.rounds or usual.rounds,
        seconds=arguments.seconds or usual.seconds,
        in_flight=tuple(arguments.in_flight or usual.in_flight),
    )
    console = Console(width=_COLUMNS, highlight=False)
    console.print((__doc__ or "").strip())
    results = await measure(plan, console)
    _show(results, console)
    path = write(arguments.folder, "round_trip", asdict(plan), results)
    console.print(f"The figures: {path}", soft_wrap=True)
    return int(any(one.failures for one in results))


def _compared(case: Case, blocks: Mapping[Peer, Sequence[Block]]) -> list[Figures]:
    compared: dict[Peer, Figures] = {}
    for peer, floor in FLOORS.items():
        compared[peer] = figures(case, peer.value, blocks[peer], floor=[compared[part] for part in floor])
    return list(compared.values())


def _show(results: Sequence[Figures], console: Console) -> None:
    for broker in BROKERS:
        console.print()
        console.print(table(f"Mosquitto {broker}", [one for one in results if one.case.broker == broker]))
    for one in results:
        if one.case.question == typed().name and one.case.in_flight == 1 and one.peer in AIMS_MS:
            console.print(_verdict(one))


def _verdict(one: Figures) -> str:
    added_ms, aim_ms = one.added_ms or 0.0, AIMS_MS[one.peer]
    verdict = "met" if added_ms <= aim_ms else "MISSED"
    return (
        f"Text, 1 in flight, {one.peer}, Mosquitto {one.case.broker}: "
        f"p50 {added_ms:+.2f} ms; aim {aim_ms:+g} ms at most: {verdict}"
    )


def main() -> int:
    """`python -m benchmarks.round_trip`."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.round_trip", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return asyncio.run(until_signalled(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
