"""The requests an agent took on: written before they are acknowledged, with their reply before it is published."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import Self

from agent.contract.errors import ContractError
from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.journal import statements
from agent.journal.clock import Moment
from agent.journal.database import Database
from agent.journal.entries import Admitted, Answered, Bounds, Kept, ReplyTo, RunKey, SessionKey, Turn, Unanswered
from agent.journal.file import Statement
from agent.journal.schema import clip_name
from agent.journal.sessions import Sessions
from agent.journal.templates import Templates

logger = logging.getLogger(__name__)

_FORGET_INTERVAL_S = 60.0
_SLACK = 32
"""The part of a bound that may be written before it is looked at again; so much less is kept."""


class Journal:
    """What one agent promised and what it kept.

    Where it cannot be written it is `broken`: what would be promised is refused with a StorageError, at once. It tries
    again by itself, every few seconds; what became of requests meanwhile is written down then.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str,
        bounds: Bounds | None = None,
        kept: Kept | None = None,
        mend_interval_s: float = 2.0,
    ) -> None:
        """`synchronous` as SQLite has it; `mend_interval_s`: how long a broken journal is left alone."""
        self._database = Database(path, synchronous=synchronous, on_break=self._broke)
        self._bounds = bounds or Bounds()
        self.sessions = Sessions(self._database, kept or Kept())
        """The conversations."""
        self.templates = Templates(self._database)
        """The prompt templates that operators saved."""
        self._mend_interval_s = mend_interval_s
        self._answers = 0
        self._answer_bytes = 0
        self._closing = asyncio.Event()
        self._mending: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called when it is `broken`, and when it is not any more."""

    async def __aenter__(self) -> Self:
        await self._database.open()
        self._forgetting = asyncio.create_task(self._forget_for_ever(), name="journal[forget]")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing.set()  # and no cancel: a file half opened would stay open
        for task in (self._forgetting, self._mending):
            if task:
                await task
        await self._database.close()

    @property
    def broken(self) -> bool:
        """Whether nothing can be written now."""
        return self._database.broken

    @property
    def waited_s(self) -> float:
        """How long nothing was written that waits to be [s]; a disk that hangs is not seen otherwise."""
        return self._database.waited_s

    def check(self) -> None:
        """StorageError while it is broken."""
        self._database.check()

    def admit(self, admitted: Admitted, *, begun: bool = False) -> Awaitable[None]:
        """Done once a crash cannot lose the request any more; it takes the place of an earlier one. StorageError.

        `begun`: an attempt is being made already.
        """
        # Its sender is told that it is not taken on, whatever the disk kept of it.
        refused = Statement(statements.DROP_UNANSWERED, tuple(admitted.key))
        return self._write(statements.ADMIT, admitted, begun=begun, owed=refused)

    def keep(self, admitted: Admitted, *, begun: bool) -> None:
        """Writes a request that is at hand down again, soon, where the file that had it was set aside."""
        if not self._database.read(statements.KNOWN, *admitted.key):
            self._write(statements.KEEP, admitted, begun=begun, owed=None)

    def _write(self, sql: str, admitted: Admitted, *, begun: bool, owed: Statement | None) -> Awaitable[None]:
        name = clip_name(*admitted.key, admitted.arrived_at) if admitted.clip is not None else None
        moment = Moment.now(wall_s=admitted.arrived_at)
        return self._database.write(
            Statement(
                sql,
                (
                    *admitted.key,
                    admitted.operation.value,
                    admitted.digest,
                    admitted.request.encode(),
                    name,
                    *admitted.reply_to,
                    *moment,
                    int(begun),
                ),
            ),
            clip=(name, admitted.clip) if name and admitted.clip is not None else None,
            owed=owed,
        )

    def begun(self, key: RunKey) -> Awaitable[None]:
        """Done once it is written that another attempt at the request is made. StorageError."""
        return self._attempts(key, 1)

    def interrupted(self, key: RunKey) -> None:
        """Notes, soon, that the latest attempt does not count: it was not the request that ended it."""
        self._attempts(key, -1)

    def answer(
        self, admitted: Admitted, reply: bytes, *, said: tuple[SessionKey, Turn] | None = None
    ) -> Awaitable[None]:
        """Done once `reply` is the request's one outcome. StorageError: it will be, where the disk comes back.

        `said`: the turn that it is in a conversation, which is remembered with it.
        """
        moment = Moment.now()
        also = self.sessions.added(said[0], admitted.key, admitted.arrived_at, said[1]) if said else ()
        kept = Statement(
            statements.ANSWER,
            (
                *admitted.key,
                admitted.operation.value,
                admitted.digest,
                *admitted.reply_to,
                admitted.arrived_at,
                reply,
                *moment,
            ),
        )
        drops = clip_name(*admitted.key, admitted.arrived_at) if admitted.clip is not None else None
        done = self._database.write(kept, drops=drops, also=also, owed=kept)
        self._answers += 1
        self._answer_bytes += len(reply)
        bounds = self._bounds
        if self._answers > bounds.max_replies // _SLACK or self._answer_bytes > bounds.max_bytes // _SLACK:
            self._forget()
        return done

    def delivered(self, key: RunKey, reply: bytes) -> None:
        """Notes, soon, that the broker has `reply`, unless the request has got another one since."""
        noted = Statement(statements.DELIVERED, (*key, reply))
        self._database.write(noted, owed=noted, soon=True)

    def answered(self, key: RunKey) -> Answered | None:
        """The outcome of an earlier request, if it is still remembered. StorageError where that cannot be told."""
        return next((Answered(*row) for row in self._database.read(statements.OUTCOME, *key)), None)

    def unanswered(self, *, unless: Callable[[RunKey], object] = lambda _: None) -> list[Unanswered]:
        """What was taken on and has no outcome yet, `unless` it is at hand, oldest first. StorageError."""
        rows = self._database.read(statements.UNANSWERED)
        wanted = [row for row in rows if not unless(RunKey(*row[:2]))]
        return [entry for row in wanted if (entry := self._readable(row))]

    def undelivered(self) -> list[RunKey]:
        """Requests whose replies the broker may not have got, oldest first. StorageError."""
        return [RunKey(*row) for row in self._database.read(statements.UNDELIVERED)]

    def reply_of(self, key: RunKey) -> tuple[ReplyTo, bytes] | None:
        """The reply to a request, and where it goes; None where it is forgotten. StorageError."""
        return next(((ReplyTo(*to), reply) for reply, *to in self._database.read(statements.REPLY, *key)), None)

    def _attempts(self, key: RunKey, more: int) -> Future[None]:
        return self._database.write(Statement(statements.COUNT_ATTEMPT, (more, *key)))

    def _forget(self) -> None:
        bounds, now = self._bounds, Moment.now()
        places, size = (bound - bound // _SLACK for bound in (bounds.max_replies, bounds.max_bytes))
        self._answers = self._answer_bytes = 0
        self._database.write(
            Statement(statements.FORGET, (now.boot_id, now.boot_s, now.wall_s, places, size, bounds.dedup_window_s))
        )

    async def _forget_for_ever(self) -> None:
        while not self._closing.is_set():
            if not self.broken:
                self._forget()
                self.sessions.forget()
            await self._pause(_FORGET_INTERVAL_S)

    def _broke(self) -> None:
        self._mending = asyncio.create_task(self._mend(), name="journal[mend]")

    async def _mend(self) -> None:
        self._tell()
        while self.broken and not self._closing.is_set():
            if not self._database.hopeless:
                await self._pause(self._mend_interval_s)
            await self._database.mend()
        if not self._closing.is_set():
            self._tell()

    def _tell(self) -> None:
        try:
            self.on_change()
        except Exception:  # of somebody else, and no reason not to go on mending
            logger.exception("who watches the journal failed")

    async def _pause(self, seconds: float) -> None:
        """Waits, unless it is closed meanwhile."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def _readable(self, row: tuple[Any, ...]) -> Unanswered | None:
        """The request of a row; None, and the row is dropped, where another version wrote it, or its clip is lost."""
        client, request_id, operation, envelope, clip, topic, correlation_data, attempts, *moment = row
        key, to, arrived = RunKey(client, request_id), ReplyTo(topic, correlation_data), Moment(*moment)
        try:
            wav = self._database.clips.read(clip) if clip else None
            admitted = Admitted(key, Operation(operation), Request.decode(envelope), wav, to, arrived.wall_s)
        except (ContractError, ValueError, OSError):
            logger.exception("%s in the journal cannot be read, and is dropped", key)
            self._database.write(Statement(statements.DROP_UNANSWERED, tuple(key)), drops=clip)
            return None
        return Unanswered(admitted, attempts, arrived.until(Moment.now()))
