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
from pathlib import Path
from time import perf_counter

import paho.mqtt.client as paho
from rich import box
from rich.console import Console
from rich.table import Table

from agent.contract.terms import Operation
from agent.engines.settings import EngineSettings
from agent.signals import until_signalled
from agent.stack import Part, Stack, StackSettings
from benchmarks.paho_client import QOS, subscribed
from benchmarks.process_memory import Memory
from benchmarks.questions import Question, spoken, typed
from benchmarks.report import write

FOLDER = Path(".edgevoice/bench")
AIM_REFUSED_P95_MS = 50.0
"""The most that a refusal is to take, 95 times of 100 [ms]."""
AIM_GROWTH_MIB = 64.0
"""The most that the agent is to grow over questions of text [MiB]."""
_CLIENTS = tuple(f"client{number}" for number in range(8))
_ANSWER_S = 0.1
_SECONDS = 1.0
_PATIENCE_S = 60.0
_COLUMNS = 120
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
    parser.add_argument("--quick", action="store_true", help="only the line of text")
    parser.add_argument("--requests", type=int, default=500, metavar="N", help="in one second (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the figures go, as JSON (default: %(default)s)"
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows the table, writes the file; 1 where a request had no outcome, or two."""
    console = Console(width=_COLUMNS, highlight=False)
    console.print((__doc__ or "").strip())
    questions = (typed(),) if arguments.quick else (typed(), spoken())
    results = await measure(questions, arguments.requests, console)
    console.print()
    console.print(_table(results))
    for line in _verdicts(results[0]):
        console.print(line)
    path = write(arguments.folder, "burst", {"requests": arguments.requests, "clients": len(_CLIENTS)}, results)
    console.print(f"The figures: {path}", soft_wrap=True)
    return int(any(one.lost or one.repeated for one in results))


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
    shown = Table(title="The burst", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("question", no_wrap=True)
    names = (
        "requests",
        _ANSWERED,
        _REFUSED,
        "else",
        "lost",
        "twice",
        "refused p50 ms",
        "p95 ms",
        "MiB before",
        "peak",
        "after",
    )
    for name in names:
        shown.add_column(name, justify="right", no_wrap=True)
    for one in results:
        others = {code: count for code, count in one.outcomes.items() if code not in {_ANSWERED, _REFUSED}}
        counts = (one.requests, one.outcomes.get(_ANSWERED, 0), one.outcomes.get(_REFUSED, 0), sum(others.values()))
        figures = (one.refused_p50_ms, one.refused_p95_ms, *asdict(one.memory).values())
        shown.add_row(
            one.question, *map(str, (*counts, one.lost, one.repeated)), *(f"{figure:.1f}" for figure in figures)
        )
    return shown


def _verdicts(text: Figures) -> list[str]:
    growth = text.memory.peak_mib - text.memory.before_mib
    refused, aim = f"{text.refused_p95_ms:.1f} ms", f"{AIM_REFUSED_P95_MS:g} ms at most"
    grew, growth_aim = f"{growth:.1f} MiB", f"{AIM_GROWTH_MIB:g} MiB at most"
    return [
        f"Of {text.requests} requests, text, {text.requests - text.lost} had an outcome: {_met(not text.lost)}",
        f"Refused within p95 {refused}; aim {aim}: {_met(text.refused_p95_ms <= AIM_REFUSED_P95_MS)}",
        f"The agent grew by {grew}; aim {growth_aim}: {_met(growth <= AIM_GROWTH_MIB)}",
    ]


def _met(aim: bool) -> str:
    return "met" if aim else "MISSED"


def main() -> int:
    """`python -m benchmarks.burst`."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.burst", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return asyncio.run(until_signalled(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
