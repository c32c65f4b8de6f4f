"""Many at once: 1, 8, 32 and 100 clients, typed and spoken questions, and ten answers read as they are written.

Typed questions go over HTTP to EdgeVoice's bridge, to llama.cpp's own server, and to llama_cpp.server where it is
installed (benchmarks.peers.llama_servers says how they are started): the same SmolLM2, prompts, 12 tokens an answer,
one thread. Once more to EdgeVoice, with the weights that benchmarks.weights finds the fastest of those that keep the
answers. Every client asks three questions, each when the one before is answered; all begin together. `slowest` is when
the last client had its three answers, by when clients had theirs on average: 1 is when all end together.

Spoken questions of 1 s go to the bridge, and to a server that keeps the same engines in memory but serves one caller
after the other (benchmarks.peers.naive_server); both answer 4 tokens by speech, and a client asks once. The streams are
ten answers of 32 tokens at once, read as events: whole is one that ends as it should.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.table import Table

from agent.audio import encode_wav
from agent.engines.settings import EngineSettings
from agent.model_files.gguf import find_gguf
from agent.settings import Settings
from agent.stack import Stack, StackSettings
from agent.stack.ports import HOST
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.crowd import Answer, Figures, crowd
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers import llama_servers
from benchmarks.peers.naive_server import serving_naively
from benchmarks.peers.over_http import Bridge, ChatServer, Naive, SpokenPeer, TypedPeer
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn
from benchmarks.speech import spoken
from benchmarks.weights import BEST, MODEL, requantized

AIM_TOKENS = 1.0
"""The least tokens a second, as a multiple of llama_cpp.server's."""
AIM_BEST_TOKENS = 1.5
"""The same, with the best weights."""
AIM_SLOWEST = 1.3
"""The most that the slowest client is to take, as a multiple of the mean."""
_CLIENTS = (1, 8, 32, 100)
_EACH, _TOKENS, _SPOKEN_TOKENS = 3, 12, 4
_STREAMS, _STREAM_TOKENS = 10, 32
_QUICK_STREAMS = 2
_EDGEVOICE = "EdgeVoice"
_BEST = f"EdgeVoice, {BEST}"
_ONE_BY_ONE = "kept, one caller after the other"
_TYPED, _SPOKEN = "typed", "spoken"
_PATIENCE_S = 600.0
_VOICE = "espeak"


@dataclass(frozen=True)
class Streams:
    """Answers at once, read as they are written."""

    peer: str
    streams: int
    whole: int
    first_broken: str | None


@dataclass(frozen=True)
class _Peers:
    typed: Mapping[str, TypedPeer]
    spoken: Mapping[str, SpokenPeer]


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes; 1 where EdgeVoice did not answer all."""
    console = introduced(__doc__)
    clients = tuple(arguments.clients or (_CLIENTS[:2] if arguments.quick else _CLIENTS))
    at_once = _QUICK_STREAMS if arguments.quick else _STREAMS
    python = await asyncio.to_thread(llama_servers.python_with_server, arguments.python)
    remarks = [] if python else [f"{llama_servers.PYTHON} was not asked: it is not installed; `make bench` does that."]
    with console.status("Asking ..."):
        clip = encode_wav((await spoken(["Turn on the light."], "flite"))[0])
        async with _peers(python, best=not arguments.quick) as peers:
            results = [one for number, count in enumerate(clients) for one in await _typed(peers, count, number)]
            streams = [await _stream(name, peer, at_once) for name, peer in peers.typed.items()]
            results += [one for count in clients for one in await _spoken(peers, count, clip)]
    return Outcome(
        "load",
        {"clients": clients, "questions_each": _EACH, "tokens": _TOKENS},
        [*results, *streams],
        tables=[_table(results), _streams_table(streams)],
        charts=_charts(results),
        verdicts=_verdicts(results, streams),
        remarks=remarks,
        failures=[
            f"{one.question}, {one.clients} clients: {one.errors} without an answer, the first: {one.first_error}"
            for one in results
            if one.peer in {_EDGEVOICE, _BEST} and one.errors
        ],
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many ask, whom, and where the figures go."""
    add_usual(parser, quick=f"{_CLIENTS[0]} and {_CLIENTS[1]} clients only, and no other weights")
    parser.add_argument("--clients", type=int, nargs="+", metavar="N", help="clients at once (default: 1 8 32 100)")
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="a Python that has llama_cpp.server (default: this, .venv-peers)"
    )


@asynccontextmanager
async def _peers(python: Path | None, *, best: bool) -> AsyncIterator[_Peers]:
    """Every peer, in processes of its own."""
    model = find_gguf(MODEL, Settings().models_dir)
    async with AsyncExitStack() as exits:
        limits = httpx.Limits(max_connections=None)
        client = await exits.enter_async_context(httpx.AsyncClient(timeout=_PATIENCE_S, limits=limits))
        stack = await exits.enter_async_context(Stack(_answered_by(model)))
        bridge = Bridge(client, stack.url)
        typed: dict[str, TypedPeer] = {_EDGEVOICE: bridge}
        if best:
            weights = await asyncio.to_thread(requantized, BEST, stack.folder)
            typed[_BEST] = Bridge(client, (await exits.enter_async_context(Stack(_answered_by(weights)))).url)
        for name in (llama_servers.OWN, *([llama_servers.PYTHON] if python else [])):
            serving = llama_servers.serving(name, model, folder=stack.folder, python=python)
            typed[name] = ChatServer(client, f"http://{HOST}:{await exits.enter_async_context(serving)}")
        naive = await exits.enter_async_context(serving_naively(stack.folder, _VOICE, kept=True))
        yield _Peers(typed, {_EDGEVOICE: bridge, _ONE_BY_ONE: Naive(client, f"http://{HOST}:{naive}")})


def _answered_by(model: Path) -> StackSettings:
    return StackSettings(
        stt=EngineSettings(name="pocketsphinx"),
        llm=EngineSettings(name="llamacpp", options={"model": str(model)}),
        tts=EngineSettings(name=_VOICE),
    )


async def _typed(peers: _Peers, clients: int, number: int) -> list[Figures]:
    results = []
    for name, peer in in_turn(peers.typed.items(), number):
        await peer.ask("Hello.", 1)  # the first request of all pays for what was put off

        async def ask(turn: int, peer: TypedPeer = peer) -> Answer:
            return await peer.ask(f"Tell me about the number {turn}.", _TOKENS)

        results.append(await crowd(name, ask, clients=clients, each=_EACH, kind=_TYPED))
    return sorted(results, key=lambda one: list(peers.typed).index(one.peer))


async def _spoken(peers: _Peers, clients: int, clip: bytes) -> list[Figures]:
    results = []
    for name, peer in peers.spoken.items():

        async def ask(_number: int, peer: SpokenPeer = peer) -> Answer:
            return await peer.hear(clip, _SPOKEN_TOKENS)

        results.append(await crowd(name, ask, clients=clients, each=1, kind=_SPOKEN))
    return results


async def _stream(name: str, peer: TypedPeer, at_once: int) -> Streams:
    asked = (peer.stream(f"Tell me a story about {number} birds.", _STREAM_TOKENS) for number in range(at_once))
    broken = [why for why in await asyncio.gather(*asked) if why]
    return Streams(name, at_once, at_once - len(broken), broken[0][:300] if broken else None)


def _table(results: Sequence[Figures]) -> Table:
    figures = ("clients", "answers/s", "tokens/s", "p50 s", "p99 s", "slowest", "errors")
    shown = table("Questions", ("question", "answered by"), figures)
    for one in results:
        rates = (f"{one.per_second:.2f}", f"{one.tokens_per_second:.0f}" if one.tokens_per_second else "")
        spread = (f"{one.latency_s.p50:.2f}", f"{one.latency_s.p99:.2f}", f"{one.slowest:.2f}")
        shown.add_row(one.question, one.peer, str(one.clients), *rates, *spread, str(one.errors or ""))
    return shown


def _streams_table(results: Sequence[Streams]) -> Table:
    shown = table("Streams", ("written by",), ("at once", "whole"))
    for one in results:
        shown.add_row(one.peer, str(one.streams), str(one.whole))
    return shown


def _charts(results: Sequence[Figures]) -> list[Chart]:
    tokens: dict[str, dict[str, float]] = {}
    waits: dict[str, dict[str, dict[str, float]]] = {_TYPED: {}, _SPOKEN: {}}
    for one in results:
        case = f"{one.clients} at once"
        waits[one.question].setdefault(case, {})[one.peer] = one.latency_s.p50
        if one.question == _TYPED:
            tokens.setdefault(case, {})[one.peer] = one.tokens_per_second
    return [
        Chart("Tokens a second, all clients together", "tokens/s", tokens),
        *(Chart(f"Wait for an answer, p50, {kind} questions", "s", bars, log=True) for kind, bars in waits.items()),
    ]


def _verdicts(results: Sequence[Figures], streams: Sequence[Streams]) -> list[Verdict]:
    verdicts = []
    most = max(one.clients for one in results)
    tokens = {one.peer: one.tokens_per_second for one in results if one.clients == most and one.question == _TYPED}
    name = llama_servers.PYTHON if llama_servers.PYTHON in tokens else llama_servers.OWN
    for ours, aim in ((_EDGEVOICE, AIM_TOKENS), (_BEST, AIM_BEST_TOKENS)):
        if ours in tokens:
            what = f"Tokens a second, {most} clients, {ours} by {name}"
            verdicts.append(Verdict(what, tokens[ours] / tokens[name], aim, " x", at_least=True))
    slowest = max(one.slowest for one in results if one.peer == _EDGEVOICE and one.question == _TYPED)
    verdicts.append(Verdict("The slowest client, by the mean", slowest, AIM_SLOWEST, " x"))
    whole = next(one for one in streams if one.peer == _EDGEVOICE)
    verdicts.append(Verdict("Streams at once that were whole", whole.whole, whole.streams, at_least=True))
    return verdicts


if __name__ == "__main__":
    sys.exit(main("load", __doc__, add_arguments, run))
