"""The thread that writes: what is waiting when a commit begins goes into that commit."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.journal.clips import Clips
from agent.journal.file import Statement, is_of_the_disk


class Write(NamedTuple):
    """A statement that waits to be committed."""

    statement: Statement
    done: asyncio.Future[None]
    clip: tuple[str, bytes] | None
    """To be written before, by its name."""
    drops: str | None
    """The clip to be removed afterwards."""
    owed: Statement | None
    """What is to be written later, where this cannot be."""
    also: tuple[Statement, ...] = ()
    """What is committed with it."""


class Outcome(NamedTuple):
    """What became of a write."""

    write: Write
    error: Exception | None


class Writer:
    """A connection that one thread writes over, in groups."""

    def __init__(self, clips: Clips, settle: Callable[[list[Outcome]], None]) -> None:
        """`settle` is told, by the thread, what became of the writes, in their order."""
        self._clips = clips
        self._settle = settle
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_for_ever, name="journal", daemon=True)
        self._using = threading.Lock()
        """Of the connection, which is not replaced in the middle of a commit."""
        self._connection: sqlite3.Connection | None = None

    def start(self) -> None:
        """Begins to write; without a connection, all writes fail."""
        self._thread.start()

    def put(self, write: Write) -> None:
        """Queues `write`."""
        self._queue.put(write)

    async def finish(self) -> None:
        """Returns once all is written that waits; nothing more is."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def replace(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Goes on over what `connect` gives; where that raises, without a connection."""
        with self._using:
            self.drop()
            self._connection = connect()

    def drop(self) -> None:
        """Closes the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _write_for_ever(self) -> None:
        open_ = True
        while open_:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            group = [write for write in waiting if write]
            open_ = len(group) == len(waiting)
            if group:
                with self._using:
                    outcomes = self._commit(group)
                self._settle(outcomes)

    def _commit(self, group: list[Write]) -> list[Outcome]:
        try:
            self._transact(group)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes the outcome of who wrote
            for write in group:
                if write.clip:
                    self._clips.remove(write.clip[0])
            if is_of_the_disk(exc):
                self.drop()  # what waits behind must fail too: nothing is written out of turn
            elif len(group) > 1:
                return [outcome for write in group for outcome in self._commit([write])]
            return [Outcome(write, exc) for write in group]
        for write in group:
            if write.drops:
                self._clips.remove(write.drops)
        return [Outcome(write, None) for write in group]

    def _transact(self, group: Sequence[Write]) -> None:
        if not self._connection:
            raise sqlite3.OperationalError("it is not open")
        for write in group:
            if write.clip:
                self._clips.write(*write.clip)
        if len(group) == 1 and not group[0].also:  # a transaction by itself
            self._connection.execute(*group[0].statement)
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for write in group:
                for statement in (write.statement, *write.also):
                    self._connection.execute(*statement)
