"""More requests than fit: 500 in one second from 8 clients, and what became of every one.

The language model takes 0.1 s for an answer, eight at a time, so some 80 are answered in that second; what is beyond
the agent's bounds is refused as `busy`, at once. Told are the outcomes, how long a refusal took, from publishing to
hearing it, and the agent's own memory: before, at its highest, and once all are answered. Once with a line of text,
once with a clip of 3 s in base64.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from time import perf_counter

import paho.mqtt.client as paho
from rich.console import Console
from rich.table import Table

from agent.contract.terms import Operation
from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.outcome import Outcome, Verdict
from benchmarks.paho_client import QOS, subscribed
from benchmarks.plot import Chart
from benchmarks.process_memory import Memory
from benchmarks.questions import Question, spoken, typed

AIM_REFUSED_P95_MS = 50.0
"""The most that a refusal is to take, 95 times of 100 [ms]."""
AIM_GROWTH_MIB = 64.0
"""The most that the agent is to grow over questions of text [MiB]."""
_CLIENTS = tuple(f"client{number}" for number in range(8))
_ANSWER_S = 0.1
_SECONDS = 1.0
_PATIENCE_S = 60.0
_ANSWERED = "ok"
_REFUSED = "busy"


@dataclass(frozen=True)
class Figures:
    """What became of one burst."""

    question: str
    requests: int
    outcomes: dict[str, int]
    """How many ended so: `ok`, or the code of the error."""
    refused_p50_ms: float
    refused_p95_ms: float
    memory: Memory
    """Of the agent's own process."""
    lost: int
    """Requests without an outcome."""
    repeated: int
    """Outcomes that came once more."""


@dataclass
class _Outcomes:
    """What arrives, booked on the network threads of the clients."""

    wanted: int
    asked_at: dict[str, float] = field(default_factory=dict)
    heard: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By id: the outcome, and how long it took [s]."""
    repeated: int = 0
    all_there: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def book(self, payload: bytes) -> None:
        """Takes a reply down."""
        now = perf_counter()
        reply = json.loads(payload)
        code = reply["error"]["code"] if "error" in reply else str(reply["status"])
        with self.lock:
            self.repeated += reply["id"] in self.heard
            self.heard.setdefault(reply["id"], (code, now - self.asked_at[reply["id"]]))
            if len(self.heard) >= self.wanted:
                self.all_there.set()


async def measure(questions: Sequence[Question], requests: int, console: Console) -> list[Figures]:
    """A burst of each question, each against an agent of its own."""
    slow = EngineSettings(name="scripted", options={"delay_s": _ANSWER_S})
    results = []
    for question in questions:
        settings = StackSettings.scripted(llm=slow, users=_CLIENTS, parts=(Part.BROKER, Part.AGENT))
        with console.status(f"{requests} requests: {question.name} ..."):
            async with Stack(settings) as stack:
                results.append(await asyncio.to_thread(_burst, stack, question, requests))
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick="only the line of text")
    parser.add_argument("--requests", type=int, default=500, metavar="N", help="in one second (default: %(default)s)")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where a request had no outcome, or two."""
    console = introduced(__doc__)
    questions = (typed(),) if arguments.quick else (typed(), spoken())
    results = await measure(questions, arguments.requests, console)
    return Outcome(
        "burst",
        {"requests": arguments.requests, "clients": len(_CLIENTS)},
        results,
        tables=[_table(results)],
        charts=_charts(results),
        verdicts=_verdicts(results[0]),
        failures=[
            f"{one.question}: {one.lost} requests without an outcome, {one.repeated} with two"
            for one in results
            if one.lost or one.repeated
        ],
    ).tell(console, arguments.folder)


def _burst(stack: Stack, question: Question, requests: int) -> Figures:
    outcomes = _Outcomes(requests)
    pid = stack.pid(Part.AGENT)
    with ExitStack() as exits:
        callers = [
            exits.enter_context(subscribed(stack.mqtt(user), stack.topics.all_replies(user), outcomes.book))
            for user in _CLIENTS
        ]
        memory = Memory.watching(pid)
        _ask(callers, stack, question, outcomes)
        outcomes.all_there.wait(_PATIENCE_S)
        with outcomes.lock:
            codes = list(outcomes.heard.values())
        memory = memory.looked_at(pid)
    refused_ms = sorted(1_000 * seconds for code, seconds in codes if code == _REFUSED) or [0.0]
    return Figures(
        question.name,
        requests,
        dict(Counter(code for code, _ in codes)),
        refused_p50_ms=statistics.median(refused_ms),
        refused_p95_ms=refused_ms[len(refused_ms) * 95 // 100],
        memory=memory,
        lost=requests - len(codes),
        repeated=outcomes.repeated,
    )


def _ask(callers: list[paho.Client], stack: Stack, question: Question, outcomes: _Outcomes) -> None:
    """One after the other, evenly over the second, each client in its turn."""
    topics = [stack.topics.request(user, Operation.CHAT) for user in _CLIENTS]
    pause = threading.Event()
    began = perf_counter()
    for number in range(outcomes.wanted):
        pause.wait(max(0.0, began + number * _SECONDS / outcomes.wanted - perf_counter()))
        request_id, turn = f"burst-{number}", number % len(_CLIENTS)
        request = question.encode(request_id.encode())
        outcomes.asked_at[request_id] = perf_counter()
        callers[turn].publish(topics[turn], request, QOS)


def _table(results: list[Figures]) -> Table:
    counted = ("requests", _ANSWERED, _REFUSED, "else", "lost", "twice")
    shown = table("The burst", ("question",), (*counted, "refused p50 ms", "p95 ms", "MiB before", "peak", "after"))
    for one in results:
        others = {code: count for code, count in one.outcomes.items() if code not in {_ANSWERED, _REFUSED}}
        counts = (one.requests, one.outcomes.get(_ANSWERED, 0), one.outcomes.get(_REFUSED, 0), sum(others.values()))
        figures = (one.refused_p50_ms, one.refused_p95_ms, *asdict(one.memory).values())
        shown.add_row(
            one.question, *map(str, (*counts, one.lost, one.repeated)), *(f"{figure:.1f}" for figure in figures)
        )
    return shown


def _charts(results: list[Figures]) -> list[Chart]:
    outcomes = {one.question: {code: float(count) for code, count in one.outcomes.items()} for one in results}
    memory = {one.question: asdict(one.memory) for one in results}
    return [Chart("What became of them", "requests", outcomes), Chart("The agent's memory", "MiB", memory)]


def _verdicts(text: Figures) -> list[Verdict]:
    growth = text.memory.peak_mib - text.memory.before_mib
    return [
        Verdict("Requests of text without an outcome", text.lost, 0),
        Verdict("Refused, p95", text.refused_p95_ms, AIM_REFUSED_P95_MS, " ms"),
        Verdict("The agent grew by", growth, AIM_GROWTH_MIB, " MiB"),
    ]


if __name__ == "__main__":
    sys.exit(main("burst", __doc__, add_arguments, run))
