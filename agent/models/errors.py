"""What may go wrong with model files, in one line that says what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path

from agent.errors import UserError


class PullError(UserError):
    """Why a model could not be fetched, and what to do about it; one line."""


class Refused(PullError):
    """The server answered, and will not give the file."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status."""


def explained(exc: OSError, folder: Path) -> PullError:
    """What the file system did not let us do in `folder`, and what would."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return PullError(f"the disk of {folder} is full; make room, or set EDGEVOICE_HOME to a larger one")
    if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return PullError(f"{folder} cannot be written; give it to this user, or set EDGEVOICE_HOME elsewhere")
    return PullError(f"cannot store the model in {folder}: {exc}")
