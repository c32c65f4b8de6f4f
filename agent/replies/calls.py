"""What is asked and answered beside the runs: each call in a task of its own, and its caller told what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.wire import WireModel
from agent.errors import internal
from agent.journal.entries import ReplyTo, RunKey
from agent.replies.replies import Replies

logger = logging.getLogger(__name__)


class Calls:
    """Those that are going on. They are not written down: each may be made again."""

    def __init__(self, replies: Replies, *, most: int) -> None:
        """`most` at once."""
        self._replies = replies
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """ContractError(busy) where there are as many as there may be."""
        if len(self._tasks) >= self._most:
            raise ContractError(ErrorCode.BUSY, "enough calls are going on", retry_after_ms=1_000)

    def answer(self, key: RunKey, to: ReplyTo, work: Callable[[], Awaitable[WireModel]], *, name: str) -> None:
        """Has what `work` gives sent to the caller, or the ContractError that it raises."""
        task = asyncio.create_task(self._answer(key, to, work, name), name=f"{name}[{key.client}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leaves what is going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, key: RunKey, to: ReplyTo, work: Callable[[], Awaitable[WireModel]], name: str) -> None:
        """The boundary: whatever becomes of a call, its caller is told."""
        try:
            done = await work()
        except ContractError as exc:
            self._replies.refuse(key, to, exc)
        except Exception:
            logger.exception("%s of %s", name, key)
            self._replies.refuse(key, to, internal())
        else:
            self._replies.answer(key, to, done)
