"""Where a stack keeps its files while it runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PREFIX = "edgevoice-"
_LOCK = "lock"


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder below which another user can be given one; gone with all that is in it when left.

    What a killed process of ours left behind goes, too: there are passwords in it.
    """
    parents = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes the name
    parent = next((path for path in parents if _may_be_entered(Path(path))), parents[0])
    for folder in Path(parent).glob(f"{_PREFIX}*"):
        _remove_if_left(folder)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with _lived_in(folder):
            folder.chmod(0o711)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lived_in(folder: Path) -> Iterator[None]:
    new = folder / f"{_LOCK}.new"
    with new.open("wb") as lock:
        _lock(lock)
        new.rename(folder / _LOCK)  # seen by others only now that it is locked
        yield


def _remove_if_left(folder: Path) -> None:
    """Removes a folder of ours whose lock nobody holds: the kernel lets go of it when a process ends, however."""
    with suppress(OSError):  # somebody lives there, or else it is gone by now
        if folder.lstat().st_uid != os.geteuid():
            return
        with (folder / _LOCK).open("rb") as lock:
            _lock(lock)
            shutil.rmtree(folder, ignore_errors=True)


def _lock(file: IO[bytes]) -> None:
    """OSError where another holds it."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _may_be_entered(folder: Path) -> bool:
    return folder.is_dir() and all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.resolve().parents))
