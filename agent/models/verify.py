"""Whether a model is here, and whole: every file with its size, its checksum, and what an engine needs of it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from agent.models import structure
from agent.models.catalogue import CataloguedFile, CataloguedModel
from agent.models.manifest import MANIFEST, FileRecord, Manifest, checksums
from agent.models.workspace import part_of


class Presence(str, Enum):
    """What there is of a model, without reading it."""

    HERE = "yes"
    BROKEN = "broken"
    BEGUN = "begun"
    ABSENT = "no"


def presence(model: CataloguedModel, models_dir: Path) -> Presence:
    """What there is of `model` below `models_dir`."""
    if model.folder(models_dir).is_dir():
        return Presence.BROKEN if any(faults(model, models_dir, read=False)) else Presence.HERE
    return Presence.BEGUN if part_of(model.name, models_dir).is_dir() else Presence.ABSENT


def faults(model: CataloguedModel, models_dir: Path, *, read: bool = True) -> Iterator[str]:
    """Everything that is wrong with `model`; without `read` no more than names, sizes and beginnings of files tell."""
    folder = model.folder(models_dir)
    if not folder.is_dir():
        yield f"no folder {folder}"
        return
    found = list(_file_faults(model, folder, read=read))
    yield from found
    if not found:  # else it would only be said again
        yield from structure.faults(model.engine, folder)


def file_fault(path: Path, described: CataloguedFile, came: FileRecord | None = None, *, read: bool) -> str | None:
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


def _file_faults(model: CataloguedModel, folder: Path, *, read: bool) -> Iterator[str]:
    try:
        manifest = Manifest.read(folder)
    except (OSError, ValueError) as exc:
        yield f"{folder / MANIFEST} cannot be read: {type(exc).__name__}"
        return
    came = manifest.files if manifest else {}
    described = model.known_files
    for name in dict.fromkeys((*described, *came)):
        try:
            wrong = file_fault(
                folder / name, described.get(name) or CataloguedFile(name=name), came.get(name), read=read
            )
        except OSError as exc:
            wrong = f"{folder / name} cannot be read: {exc.strerror}"
        if wrong:
            yield wrong
