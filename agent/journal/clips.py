"""Spoken questions as files: beside the database, because a database copies large values twice."""

from __future__ import annotations

import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

_PROBE = "probe"
_PROBE_BYTES = 256 * 1024
"""Room for a few seconds of speech: with less, the next question would fail again."""


class Clips:
    """A folder that nobody else may read, with a file for each spoken question that has no answer yet."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        """`durable`: a file that was written also survives a power cut."""
        self._folder = folder
        self._durable = durable

    def write(self, name: str, clip: bytes) -> None:
        """Returns once the file is there, whole; OSError where it is not, and then nothing of it is."""
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(clip)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            if self._durable:
                _sync_folder(self._folder)
        except OSError:
            self.remove(name)
            raise

    def read(self, name: str) -> bytes:
        """The clip; OSError where it is not there."""
        return (self._folder / name).read_bytes()

    def remove(self, name: str) -> None:
        """Frees the room; a file that stays is swept at the next start."""
        with suppress(OSError):
            (self._folder / name).unlink()

    def sweep(self, keep: Container[str]) -> None:
        """Removes what no request names: left by a crash between file and row."""
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.name not in keep:
                    self.remove(path.name)

    def probe(self) -> None:
        """OSError where there is no room for another clip."""
        self.write(_PROBE, bytes(_PROBE_BYTES))
        self.remove(_PROBE)


def _sync_folder(folder: Path) -> None:
    """A new file's name lasts only once its folder is written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
