"""One SQLite file, one writing thread: what is waiting when a commit begins goes into that commit."""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import Self

from agent.errors import StorageError

logger = logging.getLogger(__name__)

Write = Callable[[sqlite3.Connection], object]
_Queued = tuple[Write, "asyncio.Future[None]"]


class Database:
    """A SQLite file in WAL mode; writes are grouped on a thread of their own, reads are made where they are wanted."""

    def __init__(self, path: Path, *, schema: str, synchronous: str) -> None:
        self._path = path
        self._schema = schema
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_for_ever, name="journal", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._reader: sqlite3.Connection
        self._writer: sqlite3.Connection

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._writer = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._path.chmod(0o600)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute(f"PRAGMA synchronous={self._synchronous}")
            self._writer.executescript(self._schema)
            self._reader = sqlite3.connect(self._path, isolation_level=None)
        except (OSError, sqlite3.Error) as exc:
            raise StorageError(f"the journal {self._path} cannot be opened: {exc}") from exc
        self._thread.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    async def write(self, write: Write) -> None:
        """Returns once `write` is committed; StorageError where it cannot be."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((write, done))
        await done

    def read(self, query: str, *parameters: object) -> list[Any]:
        """The rows of a quick query, at once; StorageError where the file cannot be read."""
        try:
            return self._reader.execute(query, parameters).fetchall()
        except sqlite3.Error as exc:
            raise StorageError(f"the journal cannot be read: {exc}") from exc

    def _write_for_ever(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            last = False
            while not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Queued]) -> None:
        error: StorageError | None = None
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for write, _ in group:
                write(self._writer)
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            logger.error("the journal was not written: %s", exc)  # noqa: TRY400 - the cause is in the one line
            error = StorageError(f"the journal cannot be written: {exc}")
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        self._loop.call_soon_threadsafe(_settle, [done for _, done in group], error)


def _settle(futures: list[asyncio.Future[None]], error: StorageError | None) -> None:
    for done in futures:
        if done.cancelled():
            continue
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)
