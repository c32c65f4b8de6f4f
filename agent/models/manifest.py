"""What was fetched: a file beside a model's own, so that they can be verified later without asking anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from agent.models.catalogue import CataloguedModel

MANIFEST = "edgevoice.json"
_BLOCK_BYTES = 1 << 20


class FileRecord(BaseModel):
    """A file as it was when it came."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    size_bytes: int = Field(alias="bytes")
    """Its size [bytes]."""
    sha256: str
    """Its checksum."""
    published: bool
    """Whether it agreed with a checksum of its publisher; otherwise it is only known not to have changed since."""


class Manifest(BaseModel):
    """A model as it was when it came."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    model: str
    """Its name in the catalogue."""
    origin: str
    """Where it came from."""
    revision: str | None = None
    """The commit of the repository it came from."""
    files: dict[str, FileRecord]
    """Every file, by its name in the folder."""
    made: CataloguedModel | None = None
    """What a catalogue would say of it, where none does because it was made here."""

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The one in `folder`, None where there is none. OSError or ValueError where it cannot be read."""
        path = folder / MANIFEST
        return cls.model_validate_json(path.read_bytes()) if path.is_file() else None

    def write(self, folder: Path) -> None:
        """Puts it into `folder`."""
        (folder / MANIFEST).write_text(
            self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n", encoding="utf-8"
        )


def record(path: Path, *, published: bool) -> FileRecord:
    """`path` as it is now."""
    return FileRecord(bytes=path.stat().st_size, sha256=checksums(path, ("sha256",))["sha256"], published=published)


def checksums(path: Path, kinds: Iterable[str], *, prefix: bytes = b"") -> dict[str, str]:
    """Checksums of `prefix` and the file after it, by the names that hashlib has for them."""
    digests = {kind: hashlib.new(kind, prefix, usedforsecurity=False) for kind in kinds}
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            for digest in digests.values():
                digest.update(block)
    return {kind: digest.hexdigest() for kind, digest in digests.items()}
