"""Question to answer without any engine's work: what EdgeVoice adds to the bare libraries it is made of.

Over MQTT: the agent, with engines that answer at once, against a bare paho client behind the same broker that sends
each question straight back. Over HTTP: the bridge before that agent, against a bare FastAPI app that does the same;
the floor is then both echoes together, because a bridge has both ways to go. Two peers show what is usual instead: the
same paho echo and client as they come, which ask when the reply before was awaited; and a bridge that makes an MQTT
client for each request. That one, and for its sake one more of ours, has the echo behind it in place of the agent.

Text is a line of JSON; the clip is 3 s of WAV in base64 JSON, answered by text. All are asked in turn by the same
clients, with TCP_NODELAY and quick acknowledgements but for those that come as they are. MQTT is QoS 1 both ways; the
agent keeps its journal. All of it once through the Mosquitto that EdgeVoice ships, once through one without
set_tcp_nodelay, as Debian ships it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain

from rich.console import Console

from benchmarks.asking import Block
from benchmarks.command import add_usual, introduced, main
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers.round_trip import FLOORS, Peer, peers
from benchmarks.plot import Chart
from benchmarks.questions import spoken, typed
from benchmarks.report import Case, Figures, cpu_table, figures, table
from benchmarks.turns import Plan, take_turns

_SHIPPED, _DEBIAN = "as EdgeVoice ships it", "as Debian ships it"
BROKERS: Mapping[str, Mapping[str, str]] = {_SHIPPED: {}, _DEBIAN: {"set_tcp_nodelay": "false"}}
"""The brokers, by what is changed in the shipped mosquitto.conf."""
AIM_ADDED_MS = 1.5
"""The most that the agent is to add to the p50 of the bare echo, for text with one in flight [ms]."""
AIM_AS_IT_COMES = 20.0
"""How many times as long, at least, the bare echo is to take that comes as it is, through Debian's Mosquitto."""
AIM_RATE = 1 / 6
"""The least share of the bare echo's replies a second, with 64 in flight."""
AIM_BRIDGE_MS = 1.0
"""The most that the bridge is to add to the agent's own p50, for text with one in flight [ms]."""
AIM_BRIDGE_RATE = 3.0
"""How many times the replies a second, at least, of a bridge with a client per request, with 16 in flight."""
_ONE, _SOME, _MANY = 1, 16, 64

FULL = Plan(rounds=5, seconds=1.0, in_flight=(_ONE, _SOME, _MANY))
QUICK = Plan(rounds=1, seconds=0.2, in_flight=FULL.in_flight)


async def measure(plan: Plan, brokers: Sequence[str], console: Console) -> list[Figures]:
    """Every case, through every broker."""
    results: list[Figures] = []
    for broker in brokers:
        cases = {
            Case(broker, question.name, in_flight): question
            for question in (typed(), spoken())
            for in_flight in plan.in_flight
        }
        with console.status(f"Mosquitto {broker} ..."):
            async with peers(BROKERS[broker]) as loads:
                blocks = await take_turns(plan, loads, cases)
        for case in cases:
            results += _compared(case, {peer: blocks[case, peer] for peer in Peer})
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick="one short turn each, only through Mosquitto as Debian ships it: rough")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns of every peer (default: {FULL.rounds})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"length of a turn (default: {FULL.seconds:g})")
    parser.add_argument(
        "--in-flight",
        type=int,
        nargs="+",
        metavar="N",
        help=f"questions open at once (default: {' '.join(map(str, FULL.in_flight))})",
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a question was not answered."""
    usual, brokers = (QUICK, (_DEBIAN,)) if arguments.quick else (FULL, tuple(BROKERS))
    plan = Plan(
        rounds=arguments.rounds or usual.rounds,
        seconds=arguments.seconds or usual.seconds,
        in_flight=tuple(arguments.in_flight or usual.in_flight),
    )
    console = introduced(__doc__)
    results = await measure(plan, brokers, console)
    by_broker = {broker: [one for one in results if one.case.broker == broker] for broker in brokers}
    tables = (
        (table(f"Mosquitto {broker}", those), cpu_table("What a reply costs", those))
        for broker, those in by_broker.items()
    )
    return Outcome(
        "round_trip",
        asdict(plan),
        results,
        tables=list(chain.from_iterable(tables)),
        charts=_charts(by_broker),
        verdicts=[verdict for broker in brokers for verdict in _verdicts(broker, by_broker[broker])],
        failures=[f"{one.peer}, {one.case}: {one.failures} not answered" for one in results if one.failures],
    ).tell(console, arguments.folder)


def _compared(case: Case, blocks: Mapping[Peer, Sequence[Block]]) -> list[Figures]:
    compared: dict[Peer, Figures] = {}
    for peer, floor in FLOORS.items():
        compared[peer] = figures(case, peer.value, blocks[peer], floor=[compared[part] for part in floor])
    return list(compared.values())


def _charts(by_broker: Mapping[str, Sequence[Figures]]) -> list[Chart]:
    charts = []
    for broker, results in by_broker.items():
        waits: dict[str, dict[str, float]] = {}
        rates: dict[str, dict[str, float]] = {}
        for one in results:
            case = f"{one.case.question}, {one.case.in_flight} in flight"
            waits.setdefault(case, {})[one.peer] = one.p50_ms
            rates.setdefault(case, {})[one.peer] = one.per_second
        charts += [
            Chart(f"Question to answer, p50; Mosquitto {broker}", "ms", waits, log=True),
            Chart(f"Replies; Mosquitto {broker}", "replies/s", rates, log=True),
        ]
    return charts


def _verdicts(broker: str, results: Sequence[Figures]) -> list[Verdict]:
    """Of text, where those are asked at once whom an aim is about."""
    text = {(one.case.in_flight, one.peer): one for one in results if one.case.question == typed().name}
    asked = {in_flight for in_flight, _ in text}
    where = f"Mosquitto {broker}"
    verdicts = []
    if _ONE in asked:
        echo, agent, bridge = (text[_ONE, peer.value].p50_ms for peer in (Peer.PAHO, Peer.MQTT, Peer.HTTP))
        verdicts += [
            Verdict(f"{where}, 1 in flight: the agent's p50 above the echo's", agent - echo, AIM_ADDED_MS, " ms"),
            Verdict(f"{where}, 1 in flight: the bridge's p50 above the agent's", bridge - agent, AIM_BRIDGE_MS, " ms"),
        ]
        if broker == _DEBIAN:
            times = text[_ONE, Peer.AS_IT_COMES.value].p50_ms / agent
            what = f"{where}, 1 in flight: the p50 of paho as it comes, by the agent's"
            verdicts.append(Verdict(what, times, AIM_AS_IT_COMES, " x", at_least=True))
    if _SOME in asked:
        bridge, naive = (text[_SOME, peer.value].per_second for peer in (Peer.BRIDGE, Peer.NAIVE))
        what = f"{where}, {_SOME} in flight: the bridge's replies a second, by those of a client per request"
        verdicts.append(Verdict(what, bridge / naive, AIM_BRIDGE_RATE, " x", at_least=True))
    if _MANY in asked:
        agent, echo = (text[_MANY, peer.value].per_second for peer in (Peer.MQTT, Peer.PAHO))
        what = f"{where}, {_MANY} in flight: the agent's replies a second, by the echo's"
        verdicts.append(Verdict(what, agent / echo, AIM_RATE, " x", at_least=True))
    return verdicts


if __name__ == "__main__":
    sys.exit(main("round_trip", __doc__, add_arguments, run))
