"""The file of the log and its predecessors: appended to line by line, put aside when it is full."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_OLD_FILES = 3


class LogFile:
    """`path`, and beside it `path.1` to `path.3`, the oldest last; each for its owner alone.

    It is opened for each line: what somebody else moves or removes is begun anew.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def check(self) -> None:
        """OSError where it cannot be written; it is there afterwards."""
        os.close(self._open())

    def append(self, line: bytes) -> None:
        """Writes `line` whole, or nothing of it and raises OSError; a file that has no room for it is put aside."""
        if self._is_full(len(line)):
            self._put_aside()
        file = self._open()
        try:
            _write(file, line)
        finally:
            os.close(file)

    def _open(self) -> int:
        # Not to block: a pipe that nobody reads is refused, and not waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self._path, flags, 0o600)

    def _is_full(self, more: int) -> bool:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return False
        return size > 0 and size + more > self._max_bytes

    def _put_aside(self) -> None:
        for number in range(_OLD_FILES, 1, -1):
            younger = self._numbered(number - 1)
            if younger.exists():
                younger.replace(self._numbered(number))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _write(file: int, line: bytes) -> None:
    size, written = os.fstat(file).st_size, 0
    try:
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        with suppress(OSError):  # of what is no file
            os.ftruncate(file, size)  # half a line is worse than none
        raise
