"""One SQLite file: what is owed while it cannot be written, and how it is whole again."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.errors import StorageError
from agent.journal.clips import Clips
from agent.journal.file import JournalFile, Statement, TakenError, is_corrupt, is_of_the_disk
from agent.journal.writer import Outcome, Write, Writer

logger = logging.getLogger(__name__)

_SOON_S = 0.05
"""How long what is not urgent waits for something that is."""


class Database:
    """Rows, and the clips they name; writes are grouped on a thread of their own, reads are made where they are wanted.

    Where it cannot be written it is broken: nothing is queued any more, until `mend` could open and write it.
    """

    def __init__(self, path: Path, *, synchronous: str, on_break: Callable[[], None]) -> None:
        """`on_break` is called each time that it breaks."""
        self.clips = Clips(path.with_name(f"{path.stem}.clips"), durable=synchronous == "FULL")
        """Written and removed with the rows that name them."""
        self.broken = False
        """Whether nothing can be written."""
        self._on_break = on_break
        self._file = JournalFile(path, self.clips, synchronous=synchronous)
        self._writer = Writer(self.clips, self._written)
        self._waiting = 0
        self._later: list[Write] = []
        """What the writer does not know of yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._owed: list[Statement] = []
        self._why: Exception | None = None
        self._reader: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def hopeless(self) -> bool:
        """Whether it is broken because the file is corrupt: no use to wait before it is mended."""
        return self.broken and is_corrupt(self._why)

    @property
    def waited_s(self) -> float:
        """How long nothing was written that waits to be [s]."""
        return time.monotonic() - self._progress_at if self._waiting else 0.0

    async def open(self) -> None:
        """Makes the file where there is none; where that cannot be done, it is broken.

        StorageError where another process has it.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._reader = await asyncio.to_thread(self._connect, ())
        except TakenError as exc:
            raise StorageError(f"the journal {self._file.path} cannot be opened: {exc}") from exc
        except (OSError, sqlite3.Error) as exc:
            self._break(exc)
        self._writer.start()

    async def mend(self) -> None:
        """Opens the file, anew where it is corrupt, and writes first what could not be written and must be."""
        while True:
            owed, self._owed = self._owed, []
            try:
                reader = await asyncio.to_thread(self._connect, owed)
            except (OSError, sqlite3.Error) as exc:
                self._owed = owed + self._owed
                self._why = exc
                return
            self._drop_reader()
            self._reader = reader
            if not self._owed:  # nothing came to be owed meanwhile, which would wait for the next time it is broken
                break
        self._why = None
        self.broken = False
        logger.warning("the journal can be written again")

    async def close(self) -> None:
        """Commits what waits, then closes the file."""
        self._begin()
        await self._writer.finish()
        if self.broken and self._owed:
            await self.mend()
        self._drop_reader()
        self._writer.drop()
        self._file.close()

    def check(self) -> None:
        """StorageError while it is broken."""
        if self.broken:
            raise self._error()

    def write(
        self,
        statement: Statement,
        *,
        clip: tuple[str, bytes] | None = None,
        drops: str | None = None,
        also: Sequence[Statement] = (),
        owed: Statement | None = None,
        soon: bool = False,
    ) -> asyncio.Future[None]:
        """Queues a statement; the future is done once it is committed, or has its StorageError.

        What is to be written `also` is committed with it, or not at all; it is owed where `owed` is.
        The `clip`, by its name, is written before, the one of the name that it `drops` is removed afterwards. Where it
        cannot be written, `owed` is, as soon as anything can. What is enough `soon` goes with the next that is not.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(_retrieved)
        write = Write(statement, done, clip, drops, owed, tuple(also))
        if self.broken:
            self._owe(write, self._error())
            return done
        self._later.append(write)
        if not soon:
            self._begin()
        elif not self._timer:
            self._timer = self._loop.call_later(_SOON_S, self._begin)
        return done

    def read(self, query: str, *parameters: object) -> list[Any]:
        """The rows of a quick query, at once; StorageError where the file cannot be read."""
        try:
            if not self._reader:
                raise sqlite3.OperationalError(str(self._why))
            return self._reader.execute(query, parameters).fetchall()
        except sqlite3.Error as exc:
            if is_corrupt(exc):
                self._break(exc)
            raise StorageError(f"the journal cannot be read: {exc}") from exc

    def _begin(self) -> None:
        """Has the writer take all that waits for it."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            self._progress_at = time.monotonic()
        self._waiting += len(self._later)
        for write in self._later:
            self._writer.put(write)
        self._later.clear()

    def _connect(self, owed: Sequence[Statement]) -> sqlite3.Connection:
        """Replaces the writer's connection, and returns another reader."""
        self._writer.replace(lambda: self._file.writer(owed, anew=self.hopeless))
        return self._file.reader()

    def _written(self, outcomes: list[Outcome]) -> None:
        self._loop.call_soon_threadsafe(self._settle, outcomes)

    def _settle(self, outcomes: list[Outcome]) -> None:
        self._waiting -= len(outcomes)
        self._progress_at = time.monotonic()
        for write, exc in outcomes:
            if exc is None:
                if not write.done.done():
                    write.done.set_result(None)
                continue
            error = StorageError(f"the journal cannot be written: {exc}")
            if is_of_the_disk(exc):
                self._break(exc)
                self._owe(write, error)
            else:  # it would fail again
                logger.error("not written: %s", write.statement.sql, exc_info=exc)
                _refuse(write, error)

    def _owe(self, write: Write, error: StorageError) -> None:
        if write.owed:
            self._owed += [write.owed, *write.also]
        _refuse(write, error)

    def _break(self, exc: Exception) -> None:
        if not is_corrupt(self._why):  # which all that fails afterwards comes from
            self._why = exc
        if is_corrupt(exc):
            self._drop_reader()
        if not self.broken:
            self._begin()  # or what comes later would be written before
            self.broken = True
            logger.error("the journal %s cannot be written, no request is taken on: %s", self._file.path, exc)
            self._on_break()

    def _error(self) -> StorageError:
        return StorageError(f"the journal cannot be written: {self._why}")

    def _drop_reader(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None


def _refuse(write: Write, error: StorageError) -> None:
    if not write.done.done():
        write.done.set_exception(error)


def _retrieved(done: asyncio.Future[None]) -> None:
    """Not everybody awaits a write; that it failed was logged."""
    if not done.cancelled():
        done.exception()
