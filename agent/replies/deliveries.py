"""Replies on their way to the broker: the journal is told of each that has arrived, and sends what never did again."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from agent.errors import StorageError
from agent.journal.entries import ReplyTo, RunKey
from agent.journal.journal import Journal
from agent.replies.replies import Replies

logger = logging.getLogger(__name__)

_PORTION = 16
"""Replies of an earlier process that are on their way at once; each may be as large as the broker takes."""


class Deliveries:
    """What is written down and must reach the broker."""

    def __init__(self, journal: Journal, replies: Replies) -> None:
        self._journal = journal
        self._replies = replies
        self._resuming: asyncio.Task[None] | None = None
        self._resumed = False

    def send(self, key: RunKey, reply: bytes, to: Iterable[ReplyTo]) -> Future[Any]:
        """Publishes a reply that is in the journal; done once the broker has it everywhere, or never will."""
        sent = [self._replies.send(reply, each) for each in to]
        every = asyncio.gather(*(delivery for delivery in sent if delivery), return_exceptions=True)
        every.add_done_callback(lambda done: self._arrived(key, reply, done))
        return every

    def resume(self) -> None:
        """Sends, portion by portion, what an earlier process did not; once is enough. StorageError."""
        if self._resumed:
            return
        keys = self._journal.undelivered()
        self._resumed = True
        if keys:
            self._resuming = asyncio.create_task(self._send_again(keys), name="deliveries")

    async def close(self) -> None:
        """Leaves the rest to the next start."""
        if self._resuming:
            self._resuming.cancel()
            with suppress(asyncio.CancelledError):
                await self._resuming

    async def _send_again(self, keys: list[RunKey]) -> None:
        logger.info("sending %d earlier replies again", len(keys))
        for start in range(0, len(keys), _PORTION):
            portion = (self._again(key) for key in keys[start : start + _PORTION])
            if under_way := [sent for sent in portion if sent]:
                await asyncio.wait(under_way)

    def _again(self, key: RunKey) -> Future[Any] | None:
        try:
            found = self._journal.reply_of(key)
        except StorageError as exc:
            logger.warning("the reply to %s is not sent again: %s", key, exc.message)
            return None
        if not found:
            return None
        to, reply = found
        return self.send(key, reply, {to})

    def _arrived(self, key: RunKey, reply: bytes, done: Future[list[Any]]) -> None:
        if not done.cancelled() and not any(isinstance(each, BaseException) for each in done.result()):
            self._journal.delivered(key, reply)
