"""Files that a running broker reads: replaced whole, by one of us at a time, with owner and mode as they were."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import UserError

_LOCK = ".edgevoice.lock"


class ProvisionError(UserError):
    """Why a user of the broker cannot be made, changed or taken away, and what to do about it."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits until no other of us edits what is in `folder`. Raises ProvisionError where it cannot be written."""
    lock = folder / _LOCK  # not the folder itself: whoever may read that could keep us waiting
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise cannot("opened", lock, exc) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock


def read(path: Path) -> str:
    """The text of `path`. Raises ProvisionError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise cannot("read", path, exc) from exc


def replace(path: Path, content: str | bytes, *, mode: int = 0o640) -> None:
    """Puts `content` in the place of `path`, at once and for good.

    A file that was there keeps its owner, group and mode; a new one gets `mode`, and owner and group of its folder, so
    that the broker may read it. Raises ProvisionError where it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    path = path.resolve()  # a link stays a link
    if path.exists() and not path.is_file():
        raise ProvisionError(f"{path} is no file")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                _as_before(path, file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise cannot("written", path, exc) from exc


def cannot(done: str, path: Path, exc: Exception) -> ProvisionError:
    """`path` cannot be `done`, with what to do where it is a matter of rights."""
    reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
    hint = "; run it as root, with sudo" if isinstance(exc, PermissionError) else ""
    return ProvisionError(f"{path} cannot be {done}: {reason}{hint}")


def _as_before(path: Path, descriptor: int, mode: int) -> None:
    try:
        model, kept = path.stat(), True
    except FileNotFoundError:
        model, kept = path.parent.stat(), False
    if os.geteuid() == 0:
        os.fchown(descriptor, model.st_uid, model.st_gid)
    os.fchmod(descriptor, model.st_mode & 0o7777 if kept else mode)
