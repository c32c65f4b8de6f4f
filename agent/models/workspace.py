"""Where a model is put together, beside its place: by one process at a time, and moved there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from typing_extensions import Self

from agent.models.errors import PullError
from agent.models.progress import size_text

STATE = ".state"
"""Suffix of what is known of a download: worth nothing without the download."""
_LOCK = "lock"
_SPARE_BYTES = 16 << 20


def part_of(name: str, models_dir: Path) -> Path:
    """The folder in which a model is put together, beside its own."""
    return models_dir / f".{name}.part"


class Workspace:
    """The folder `part_of` a model; what came of a download stays in it until the next try."""

    def __init__(self, name: str, models_dir: Path) -> None:
        self._name = name
        self.models_dir = models_dir
        self.folder = part_of(name, models_dir)
        self.downloads = self.folder / "downloads"
        """For what comes from elsewhere; it is still there at the next try."""
        self.files = self.folder / "files"
        """For what the model consists of; empty at the beginning."""
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.models_dir.mkdir(parents=True, exist_ok=True)
        while self._lock is None:
            self._lock = self._locked()
        shutil.rmtree(self.files, ignore_errors=True)
        for folder in (self.files, self.downloads):
            folder.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is None:
            return
        if not any(path.stat().st_size and path.suffix != STATE for path in self.downloads.iterdir()):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def room(self, needed_bytes: int) -> None:
        """PullError where the disk has not so many bytes left."""
        needed_bytes += _SPARE_BYTES
        if (free_bytes := shutil.disk_usage(self.folder).free) < needed_bytes:
            raise PullError(
                f"{self._name} needs {size_text(needed_bytes)} more in {self.models_dir}, which has"
                f" {size_text(free_bytes)} free; make room, or set EDGEVOICE_HOME to a larger disk"
            )

    def place(self) -> None:
        """Moves the model into its place in one step; one that was there goes."""
        for path in (*self.files.iterdir(), self.files):
            _sync(path)
        target = self.models_dir / self._name
        self.displace(target)
        self.files.rename(target)
        _sync(self.models_dir)
        self.clear()

    def displace(self, target: Path) -> None:
        """Takes what is at `target` away, to be deleted with all that came."""
        doomed = self.downloads / self._name
        if doomed.exists() or doomed.is_symlink():
            _delete(doomed)  # of a try that was killed before it came to that
        if target.exists() or target.is_symlink():
            target.rename(doomed)

    def clear(self) -> None:
        """Deletes all that came."""
        for entry in self.downloads.iterdir():
            _delete(entry)

    def _locked(self) -> IO[bytes] | None:
        """The lock; None where the folder went away with who had it before us."""
        try:
            self.folder.mkdir(exist_ok=True)
            lock = (self.folder / _LOCK).open("ab")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock.fileno()), (self.folder / _LOCK).stat()):
                return lock
        except FileNotFoundError:
            pass
        except BlockingIOError as exc:
            lock.close()
            raise PullError(f"another program fetches or removes {self._name} at this moment; wait for it") from exc
        lock.close()
        return None


def remove(name: str, models_dir: Path) -> Path | None:
    """Deletes the model's folder and what is left of a download of it; what was there, None where nothing was."""
    target = models_dir / name
    if name != target.name or target.parent != models_dir or name.startswith("."):
        raise PullError(f"{name!r} is no name of a model; `edgevoice models list` shows them")
    if not (target.is_dir() or target.is_symlink() or part_of(name, models_dir).is_dir()):
        return None
    with Workspace(name, models_dir) as workspace:
        workspace.displace(target)
        workspace.clear()
    return target


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()  # of a link, not what it leads to


def _sync(path: Path) -> None:
    """To the disk, so that no power cut leaves the name without what it stands for."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
