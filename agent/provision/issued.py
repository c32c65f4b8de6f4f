"""What the authority has issued: which certificate is whose, and which no longer counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent.provision.files import ProvisionError, read, replace


class Issued(BaseModel):
    """One device's certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    serial: str
    """Hexadecimal."""
    until: date
    """Its last day."""
    revoked: date | None = None


_LIST = TypeAdapter(tuple[Issued, ...])


def read_issued(path: Path) -> tuple[Issued, ...]:
    """All of them, the oldest first; none where there is no file. Raises ProvisionError where it makes no sense."""
    if not path.exists():
        return ()
    try:
        return _LIST.validate_json(read(path))
    except ValidationError as exc:
        raise ProvisionError(f"{path} is damaged: bring it back from a copy") from exc


def write_issued(path: Path, issued: Iterable[Issued]) -> None:
    """Replaces the file. Raises ProvisionError."""
    replace(path, _LIST.dump_json(tuple(issued), indent=1) + b"\n", mode=0o600)
