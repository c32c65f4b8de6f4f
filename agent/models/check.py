"""Whether a file is the one that its publisher describes."""

from __future__ import annotations

from pathlib import Path

from agent.models.catalogue import CataloguedFile
from agent.models.manifest import FileRecord, checksums


def fault(path: Path, described: CataloguedFile, came: FileRecord | None, *, read: bool) -> str | None:
    """What is wrong with the file, by its publisher's word or by how it `came`; its checksum only with `read`."""
    if not path.is_file():
        return f"no file {path}"
    there, size_bytes = path.stat().st_size, described.size_bytes or (came.size_bytes if came else None)
    if size_bytes not in {None, there}:
        return f"{path} has {there} bytes, not {size_bytes}"
    expected = {kind: value for kind in ("sha256", "sha1") if (value := getattr(described, kind))}
    if not expected and came:
        expected = {"sha256": came.sha256}
    if not read or not expected:
        return None
    found = checksums(path, expected)
    wrong = [kind for kind in expected if found[kind] != expected[kind]]
    return f"{path} is damaged or another file: its {wrong[0]} differs" if wrong else None
