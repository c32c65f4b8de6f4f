"""The journal's file: opened by one agent alone, brought up to date, moved aside where it is no database any more."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from agent.journal.clips import Clips
from agent.journal.schema import VERSION, prepare

logger = logging.getLogger(__name__)

_WAL_BYTES = 16 * 2**20
_KEPT_ASIDE = 3
_PARTS = ("", "-wal", "-shm")


class TakenError(OSError):
    """Another process has the file."""


class Statement(NamedTuple):
    """A change of the database."""

    sql: str
    parameters: tuple[object, ...] = ()


class JournalFile:
    """A SQLite file in WAL mode, for nobody else to read or write."""

    def __init__(self, path: Path, clips: Clips, *, synchronous: str) -> None:
        self.path = path
        self._clips = clips
        self._synchronous = synchronous
        self._lock: IO[bytes] | None = None

    def writer(self, owed: Sequence[Statement], *, anew: bool) -> sqlite3.Connection:
        """A connection over which `owed` was written first; `anew`: what is there is not to be used.

        OSError or sqlite3.Error where it cannot be written; TakenError where another process has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._lock or _locked(self.path)
        if anew:
            self._set_aside()
        try:
            connection = self._opened()
        except sqlite3.DatabaseError as exc:
            if not is_corrupt(exc):
                raise
            logger.error("the journal %s cannot be read: %s", self.path, exc)  # noqa: TRY400 - the cause is in the line
            self._set_aside()
            connection = self._opened()
        try:
            self._try_out(connection, owed)
        except BaseException:
            connection.close()
            raise
        return connection

    def reader(self) -> sqlite3.Connection:
        """Another connection, to be used by another thread."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("SELECT 1 FROM request").fetchone()  # once it has read, it can where the disk is full
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Lets other processes have it."""
        if self._lock:
            self._lock.close()

    def _opened(self) -> sqlite3.Connection:
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
            prepare(connection, self._clips)
            named = connection.execute("SELECT clip FROM request WHERE clip IS NOT NULL").fetchall()
        except BaseException:
            connection.close()
            raise
        self._clips.sweep({name for (name,) in named})
        return connection

    def _try_out(self, connection: sqlite3.Connection, owed: Sequence[Statement]) -> None:
        """A disk that takes nothing is found out here, not by the next request."""
        self._clips.probe()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            for statement in owed:
                _execute_or_give_up(connection, statement)

    def _set_aside(self) -> None:
        """What can still be read of it is for a person to find out; a few such files are kept."""
        name = self.path.name
        aside = self.path.with_name(f"{name}.corrupt-{time.time_ns()}")
        for part in _PARTS:
            path = self.path.with_name(f"{name}{part}")
            if path.exists():
                path.replace(f"{aside}{part}")
        logger.error("a new journal is begun, the old one is %s", aside)
        former = sorted(path for path in self.path.parent.glob(f"{name}.corrupt-*") if path.name[-1].isdigit())
        for path in former[:-_KEPT_ASIDE]:
            for part in _PARTS:
                path.with_name(f"{path.name}{part}").unlink(missing_ok=True)


def is_corrupt(exc: BaseException | None) -> bool:
    """Whether the file is no database of ours any more, so that waiting does not help."""
    return type(exc) is sqlite3.DatabaseError  # every other error is of a class below


def is_of_the_disk(exc: BaseException) -> bool:
    """Whether nothing else can be written either; otherwise it is the one statement that is wrong."""
    return isinstance(exc, (OSError, sqlite3.OperationalError)) or is_corrupt(exc)


def _execute_or_give_up(connection: sqlite3.Connection, statement: Statement) -> None:
    """Lets a statement that is wrong be, which would keep the file from being whole for ever."""
    try:
        connection.execute(*statement)
    except sqlite3.Error as exc:
        if is_of_the_disk(exc):
            raise
        logger.exception("never written: %s", statement.sql)


def _locked(path: Path) -> IO[bytes]:
    """Keeps other processes out until closed: two agents would answer the same requests."""
    lock = path.with_name(f"{path.name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock.close()
        raise TakenError("another agent has it") from exc
    except OSError:
        lock.close()
        raise
    return lock
