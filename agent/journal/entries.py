"""What the journal keeps of a request: which one it is, what it asks, where its reply goes, what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from agent.contract.messages import HOW_IT_IS_ASKED, Request
from agent.contract.terms import Operation

_DIGEST_BYTES = 16


class RunKey(NamedTuple):
    """What makes it one request, however often it is sent."""

    client: str
    id: str

    def __str__(self) -> str:
        return f"{self.client}/{self.id}"


class SessionKey(NamedTuple):
    """Which conversation of whom."""

    client: str
    id: str

    def __str__(self) -> str:
        return f"{self.client}/{self.id}"


class Turn(NamedTuple):
    """A question and its answer, as they are remembered: both, or none."""

    question: str
    answer: str


class Numbered(NamedTuple):
    """A turn as it was written down."""

    number: int
    """Rises from turn to turn."""
    turn: Turn


class ReplyTo(NamedTuple):
    """Where a terminal reply is wanted."""

    topic: str
    correlation_data: bytes | None = None


@dataclass(frozen=True)
class Admitted:
    """A request that was taken on: all that is needed to run it, again if need be."""

    key: RunKey
    operation: Operation
    request: Request
    """As asked; its audio is in `clip`, its deadline is the one that holds."""
    clip: bytes | None
    """The question, spoken: a WAV file."""
    reply_to: ReplyTo
    arrived_at: float
    """Wall clock [s since 1970]; only compared across a restart."""

    @cached_property
    def digest(self) -> bytes:
        """Equal for two requests that ask the same, however they were sent and whenever they are wanted."""
        digest = hashlib.sha256(self.operation.value.encode())  # for which processors have instructions
        digest.update(self.request.encode(without=HOW_IT_IS_ASKED))
        digest.update(self.clip or b"")
        return digest.digest()[:_DIGEST_BYTES]


class Answered(NamedTuple):
    """What became of a request."""

    digest: bytes
    reply: bytes


class Unanswered(NamedTuple):
    """A request that an earlier process took on, and left."""

    admitted: Admitted
    attempts: int
    """Times it was begun without an outcome."""
    age_s: float
    """How long ago it arrived [s]."""


@dataclass(frozen=True)
class Bounds:
    """How many answered requests are remembered; past any of these, the oldest are forgotten."""

    dedup_window_s: float = 3_600.0
    """For so long [s]."""
    max_replies: int = 10_000
    """At most so many."""
    max_bytes: int = 256_000_000
    """At most so large, all replies together [bytes]."""


@dataclass(frozen=True)
class Kept:
    """How much of conversations is remembered."""

    idle_s: float = 86_400.0
    """One in which nothing is said for so long is forgotten [s]."""
    max_turns: int = 1_000
    """Of each, the latest."""
    max_sessions: int = 1_000
    """Of each client, the latest."""
