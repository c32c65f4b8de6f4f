"""Where a stack keeps its files while it runs."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder below which another user can be given one; gone with all that is in it when left."""
    parents = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes the name
    parent = next((path for path in parents if _may_be_entered(Path(path))), None)
    folder = Path(tempfile.mkdtemp(prefix="edgevoice-", dir=parent))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _may_be_entered(folder: Path) -> bool:
    return folder.is_dir() and all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.resolve().parents))
