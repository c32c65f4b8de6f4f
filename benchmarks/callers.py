"""Callers who wait: a thousand at once, over HTTP, for an agent that answers each of them after a second.

EdgeVoice's bridge against a bridge that makes an MQTT client for each request, on a thread of its server. The same
agent is behind both, with a language model that takes a second for each question, and all of them at once. Every caller
has a connection of its own, asks once and hangs up.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import uuid
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from time import perf_counter

from rich.table import Table

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import HOST
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.metered import cpu_s
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers.round_trip import server
from benchmarks.plot import Chart
from benchmarks.questions import typed
from benchmarks.spread import Spread

AIM_S = 2.5
"""The most that it is to take until the last one has its answer [s]."""
_ANSWER_S = 1.0
_ANSWERED = b"HTTP/1.1 200"
_PATIENCE_S = 120.0
_FILES = 8_192
_OURS, _NAIVE = "EdgeVoice", "a client per request"


@dataclass(frozen=True)
class Figures:
    """How the callers of one bridge fared."""

    peer: str
    callers: int
    errors: int
    first_error: str | None
    took_s: float
    """Until the last one had its answer [s]."""
    wait_s: Spread
    bridge_cpu_s: float


async def measure(callers: int) -> list[Figures]:
    """One bridge after the other."""
    _allow_files()
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(_settings(callers)))
        asks = (stack.mqtt().model_dump_json(), stack.topics.agent)
        naive, naive_port = await exits.enter_async_context(server(stack, "benchmarks.peers.naive_bridge", *asks))
        await _crowd(_OURS, 4, stack.http_port, stack.pid(Part.BRIDGE))  # the first requests pay for imports and caches
        await _crowd(_NAIVE, 4, naive_port, naive)
        return [
            await _crowd(_OURS, callers, stack.http_port, stack.pid(Part.BRIDGE)),
            await _crowd(_NAIVE, callers, naive_port, naive),
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many, and where the figures go."""
    add_usual(parser, quick="fifty callers")
    parser.add_argument("--callers", type=int, metavar="N", help="at once (default: 1000)")


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where EdgeVoice left a caller without an answer."""
    console = introduced(__doc__)
    callers = arguments.callers or (50 if arguments.quick else 1_000)
    with console.status("Waiting ..."):
        results = await measure(callers)
    ours = results[0]
    return Outcome(
        "callers",
        {"callers": callers, "answer_s": _ANSWER_S},
        results,
        tables=[_table(results)],
        charts=[Chart("Until the last had its answer", "s", {f"{callers} callers": _took(results)})],
        verdicts=[Verdict(f"{callers} callers of EdgeVoice, until the last", ours.took_s, AIM_S, " s")],
        failures=[f"{ours.errors} callers of EdgeVoice had none: {ours.first_error}"] if ours.errors else [],
    ).tell(console, arguments.folder)


async def _crowd(peer: str, callers: int, port: int, pid: int) -> Figures:
    used_s, began = cpu_s(pid), perf_counter()
    outcomes = await asyncio.gather(*(_call(port) for _ in range(callers)))
    took_s = perf_counter() - began
    errors = [error for _, error in outcomes if error]
    waits = Spread.of([wait_s for wait_s, _ in outcomes])
    return Figures(peer, callers, len(errors), errors[0] if errors else None, took_s, waits, cpu_s(pid) - used_s)


async def _call(port: int) -> tuple[float, str | None]:
    """How long one caller waited, and why it has no answer."""
    body = typed().encode(uuid.uuid4().hex.encode())
    head = b"POST /v1/ask HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nConnection: close\r\n"
    asked_at = perf_counter()
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        with closing(writer):
            writer.write(head % HOST.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await asyncio.wait_for(reader.read(), _PATIENCE_S)
    except (OSError, asyncio.TimeoutError) as exc:
        return perf_counter() - asked_at, repr(exc)
    error = None if answer.startswith(_ANSWERED) else answer[:300].decode("utf-8", "replace")
    return perf_counter() - asked_at, error


def _table(results: list[Figures]) -> Table:
    shown = table("The callers", ("bridge",), ("callers", "errors", "all answered s", "p50 s", "p99 s", "CPU s"))
    for one in results:
        figures = (one.took_s, one.wait_s.p50, one.wait_s.p99, one.bridge_cpu_s)
        shown.add_row(one.peer, str(one.callers), str(one.errors), *(f"{figure:.2f}" for figure in figures))
    return shown


def _took(results: list[Figures]) -> dict[str, float]:
    return {one.peer: one.took_s for one in results}


def _settings(callers: int) -> StackSettings:
    model = EngineSettings(name="scripted", options={"delay_s": _ANSWER_S, "slots": callers})
    limits = {
        "EDGEVOICE_MAX_CONCURRENT": callers,
        "EDGEVOICE_LIMITS__MAX_QUEUED": 2 * callers,
        "EDGEVOICE_LIMITS__MAX_QUEUED_PER_CLIENT": 2 * callers,
    }
    return StackSettings.scripted(llm=model, environment={name: str(limit) for name, limit in limits.items()})


def _allow_files() -> None:
    """A connection for every caller."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


if __name__ == "__main__":
    sys.exit(main("callers", __doc__, add_arguments, run))
