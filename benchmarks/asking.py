"""Who asks: as many questions at once as told, each followed by the next as soon as it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from benchmarks.questions import Question

PATIENCE_S = 60.0
"""How long the last replies of a block may take [s]."""


@dataclass
class Block:
    """A stretch of asking, and what came of it."""

    seconds: float
    """How long new questions are asked; then the last ones are still answered."""
    expected: bytes
    """What every good reply holds."""
    latencies_s: list[float] = field(default_factory=list)
    failures: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """What the processes that answered used meanwhile, by name [s]; empty where nobody looked."""
    began: float = field(default_factory=perf_counter)
    ended: float = 0.0

    def book(self, asked_at: float, reply: bytes) -> bool:
        """Takes a reply down; True while one more question is to be asked."""
        self.ended = perf_counter()
        self.latencies_s.append(self.ended - asked_at)
        self.failures += self.expected not in reply
        return self.ended - self.began < self.seconds

    @property
    def per_second(self) -> float:
        """Replies a second."""
        return len(self.latencies_s) / (self.ended - self.began)


class Load(Protocol):
    """One way to ask one peer."""

    async def ask(self, question: Question, *, in_flight: int, seconds: float) -> Block:
        """Keeps `in_flight` questions open for so long. TimeoutError where a reply does not come."""
        ...
