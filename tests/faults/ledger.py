"""Every send, reply, execution and kill by its request's id, and the judgement whether what was promised was kept."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.contract.errors import ErrorCode
from agent.stack import Part

Outcome = dict[str, Any]
"""A terminal reply, but for whether it was `replayed`."""

_NOT_TAKEN_ON = {ErrorCode.BUSY, ErrorCode.AGENT_OFFLINE, ErrorCode.BROKER_UNAVAILABLE, ErrorCode.RATE_LIMITED}
"""Codes that say: nothing was done, and nothing written down; the same id may be asked again."""
STORAGE_UNAVAILABLE = "storage_unavailable"
_LATER = {STORAGE_UNAVAILABLE, "loading"}
"""Reasons that say the same."""


def refused(reply: Outcome) -> bool:
    """Whether the agent took the request not on, so that it is no outcome of it."""
    error = reply.get("error") or {}
    return error.get("code") in {code.value for code in _NOT_TAKEN_ON} or error.get("reason") in _LATER


def _outcome(reply: dict[str, Any]) -> Outcome:
    return {name: value for name, value in reply.items() if name != "replayed"}


@dataclass
class Ledger:
    """What one trial did, as its clients saw it."""

    sends: Counter[str] = field(default_factory=Counter)
    """How often each id was sent."""
    sent_at: dict[str, float] = field(default_factory=dict)
    """When each id was last sent, by the monotonic clock [s]."""
    replies: dict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))
    """Every terminal reply by id, those that came twice among them; refusals aside."""
    refusals_s: list[float] = field(default_factory=list)
    """How long each refusal took [s]."""
    replayed: int = 0
    """Replies that said they were given before."""
    kills: list[tuple[float, Part]] = field(default_factory=list)
    """When what had been killed [s since 1970]."""

    def sent(self, request_id: str) -> None:
        """One more time."""
        self.sends[request_id] += 1
        self.sent_at[request_id] = time.monotonic()

    def heard(self, reply: Outcome) -> Outcome:
        """Books a terminal reply, whoever it came to; returns it."""
        if refused(reply):
            self.refusals_s.append(time.monotonic() - self.sent_at[reply["id"]])
            return reply
        self.replayed += bool(reply.get("replayed"))
        self.replies[reply["id"]].append(_outcome(reply))
        return reply

    def killed(self, part: Part) -> None:
        """It is gone now, and was not started again yet."""
        self.kills.append((time.time(), part))

    def killed_between(self, earlier: float, later: float) -> bool:
        """Whether the agent was killed then."""
        return any(part is Part.AGENT and earlier <= at <= later for at, part in self.kills)


@dataclass(frozen=True)
class Verdict:
    """What came of a trial; ids in what was not as promised."""

    sent: int
    """Requests."""
    resent: int
    """Times a request was sent again."""
    extra: int
    """Replies beyond the first of an id."""
    refusals: int
    """Replies that said: not now."""
    repeated: int
    """Executions beyond the first of an id."""
    kills: Counter[Part]
    lost: frozenset[str]
    """Asked, and never answered."""
    stray: frozenset[str]
    """Answered, and never asked."""
    contradicted: frozenset[str]
    """Answered in two ways."""
    unrecorded: frozenset[str]
    """Not in the journal, or with another outcome than was heard."""
    unexplained: frozenset[str]
    """Executed again without a kill of the agent in between."""
    imagined: frozenset[str]
    """Answered without having been executed."""

    @property
    def violations(self) -> dict[str, frozenset[str]]:
        """What was promised and not kept; empty where all was."""
        judged = ("lost", "stray", "contradicted", "unrecorded", "unexplained", "imagined")
        return {name: getattr(self, name) for name in judged if getattr(self, name)}


def judge(ledger: Ledger, *, executions: Path, journal: Path) -> Verdict:
    """`executions` is the log of the scripted language model, whose questions were ids; `journal` is the agent's."""
    begun = _executions(executions, of=frozenset(ledger.sends))
    recorded = _recorded(journal)
    asked, answered = frozenset(ledger.sends), frozenset(ledger.replies)
    done = {request_id for request_id in answered if ledger.replies[request_id][0]["status"] == "ok"}
    return Verdict(
        sent=len(asked),
        resent=ledger.sends.total() - len(asked),
        extra=sum(len(replies) - 1 for replies in ledger.replies.values()),
        refusals=len(ledger.refusals_s),
        repeated=sum(len(times) - 1 for times in begun.values()),
        kills=Counter(part for _, part in ledger.kills),
        lost=asked - answered,
        stray=answered - asked,
        contradicted=frozenset(i for i in answered if any(r != ledger.replies[i][0] for r in ledger.replies[i])),
        unrecorded=frozenset(i for i in answered if recorded.get(i) != [ledger.replies[i][0]]),
        unexplained=frozenset(
            request_id
            for request_id, times in begun.items()
            if not all(ledger.killed_between(*pair) for pair in pairwise(times))
        ),
        imagined=frozenset(done & asked - set(begun)),
    )


def _executions(log: Path, *, of: frozenset[str]) -> dict[str, list[float]]:
    """When each id was begun, in order; what the agent asks by itself, to warm up, is left out."""
    begun: dict[str, list[float]] = defaultdict(list)
    for line in executed(log):
        if line["question"] in of:
            begun[line["question"]].append(line["time"])
    return {request_id: sorted(times) for request_id, times in begun.items()}


def executed(log: Path) -> Iterator[dict[str, Any]]:
    """Lines of the scripted language model's log, in the order of execution."""
    if log.exists():
        yield from map(json.loads, log.read_text(encoding="utf-8").splitlines())


def _recorded(journal: Path) -> dict[str, list[Outcome]]:
    """Outcomes in the journal, by id."""
    recorded: dict[str, list[Outcome]] = defaultdict(list)
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        for request_id, reply in database.execute("SELECT id, reply FROM request WHERE reply IS NOT NULL"):
            recorded[request_id].append(_outcome(json.loads(reply)))
    return recorded
