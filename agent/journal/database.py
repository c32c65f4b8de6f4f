"""One SQLite file, one writing thread: what is waiting when a commit begins goes into that commit."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

from agent.errors import StorageError

logger = logging.getLogger(__name__)


class _Write(NamedTuple):
    statement: str
    parameters: tuple[object, ...]
    done: asyncio.Future[None]


class Database:
    """A SQLite file in WAL mode; writes are grouped on a thread of their own, reads are made where they are wanted."""

    def __init__(self, path: Path, *, schema: str, synchronous: str) -> None:
        self._path = path
        self._schema = schema
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_for_ever, name="journal", daemon=True)
        self._waiting = 0
        self._progress_at = 0.0
        self._loop: asyncio.AbstractEventLoop
        self._reader: sqlite3.Connection
        self._writer: sqlite3.Connection
        self._lock: IO[bytes]

    @property
    def waited_s(self) -> float:
        """How long nothing was written that waits to be [s]."""
        return time.monotonic() - self._progress_at if self._waiting else 0.0

    async def open(self) -> None:
        """Makes the file where there is none, for nobody else to read. StorageError where it cannot be."""
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            self._lock = _locked(self._path)
            self._writer = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute(f"PRAGMA synchronous={self._synchronous}")
            self._writer.executescript(self._schema)
            self._reader = sqlite3.connect(self._path, isolation_level=None)
        except (OSError, sqlite3.Error) as exc:
            raise StorageError(f"the journal {self._path} cannot be opened: {exc}") from exc
        self._thread.start()

    async def close(self) -> None:
        """Commits what waits, then closes the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()
        self._lock.close()

    def write(self, statement: str, *parameters: object) -> asyncio.Future[None]:
        """Queues a statement; the future is done once it is committed, or has its StorageError."""
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(_retrieved)
        if not self._waiting:
            self._progress_at = time.monotonic()
        self._waiting += 1
        self._queue.put(_Write(statement, parameters, done))
        return done

    def read(self, query: str, *parameters: object) -> list[Any]:
        """The rows of a quick query, at once; StorageError where the file cannot be read."""
        try:
            return self._reader.execute(query, parameters).fetchall()
        except sqlite3.Error as exc:
            raise StorageError(f"the journal cannot be read: {exc}") from exc

    def _write_for_ever(self) -> None:
        open_ = True
        while open_:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            group = [write for write in waiting if write]
            open_ = len(group) == len(waiting)
            if group:
                self._commit(group)

    def _commit(self, group: list[_Write]) -> None:
        error: StorageError | None = None
        try:
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                for write in group:
                    self._writer.execute(write.statement, write.parameters)
        except sqlite3.Error as exc:
            logger.error("the journal was not written: %s", exc)  # noqa: TRY400 - the cause is in the one line
            error = StorageError(f"the journal cannot be written: {exc}")
        self._loop.call_soon_threadsafe(self._settle, [write.done for write in group], error)

    def _settle(self, futures: list[asyncio.Future[None]], error: StorageError | None) -> None:
        self._waiting -= len(futures)
        self._progress_at = time.monotonic()
        for done in futures:
            if done.cancelled():
                continue
            if error:
                done.set_exception(error)
            else:
                done.set_result(None)


def _locked(path: Path) -> IO[bytes]:
    """Keeps other processes out of the journal until closed: two agents would answer the same requests."""
    lock = path.with_name(f"{path.name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise
    return lock


def _retrieved(done: asyncio.Future[None]) -> None:
    """Not everybody awaits a write; that it failed was logged."""
    if not done.cancelled():
        done.exception()
