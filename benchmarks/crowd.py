"""Many clients at once: each asks one question after the other, and all begin together."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from benchmarks.spread import Spread


@dataclass(frozen=True)
class Answer:
    """What came of one question."""

    tokens: int = 0
    """That were written."""
    error: str | None = None


Ask = Callable[[int], Awaitable[Answer]]
"""Asks the question of that number, of which there is none other."""


@dataclass(frozen=True)
class Figures:
    """How a crowd of clients fared."""

    peer: str
    question: str
    clients: int
    requests: int
    errors: int
    first_error: str | None
    per_second: float
    tokens_per_second: float
    latency_s: Spread
    slowest: float
    """The client that had all its answers last, as a multiple of when clients had all theirs on average."""


async def crowd(peer: str, ask: Ask, *, clients: int, each: int, kind: str) -> Figures:
    """Everybody asks `each` questions, of one kind."""
    latencies: list[float] = []
    answers: list[Answer] = []

    async def client(number: int) -> float:
        for turn in range(each):
            asked_at = perf_counter()
            answers.append(await ask(number * each + turn))
            latencies.append(perf_counter() - asked_at)
        return perf_counter() - began

    began = perf_counter()
    ended = await asyncio.gather(*(client(number) for number in range(clients)))
    took = perf_counter() - began
    errors = [answer.error for answer in answers if answer.error]
    return Figures(
        peer,
        kind,
        clients,
        requests=len(answers),
        errors=len(errors),
        first_error=errors[0][:300] if errors else None,
        per_second=(len(answers) - len(errors)) / took,
        tokens_per_second=sum(answer.tokens for answer in answers) / took,
        latency_s=Spread.of(latencies),
        slowest=max(ended) / statistics.mean(ended),
    )
