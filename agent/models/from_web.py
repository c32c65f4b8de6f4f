"""Model files from a web server, as they are or out of a zip archive."""

from __future__ import annotations

import os
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from agent.models.archive import unpack
from agent.models.catalogue import Http, HttpFile
from agent.models.download import Download, download
from agent.models.errors import PullError
from agent.models.manifest import FileRecord, record
from agent.models.progress import Progress
from agent.models.verify import file_fault
from agent.models.workspace import Workspace

HUGGING_FACE = "https://huggingface.co"


def fetch(source: Http, workspace: Workspace, progress: Progress) -> dict[str, FileRecord]:
    """Leaves the files of `source`, checked as far as they can be, in the workspace."""
    paths = {file: _whole(file, workspace, progress) for file in source.files}
    records = {}
    for file, path in paths.items():
        names = _unpack(path, file.unpack, workspace) if file.unpack else {file.name}
        if not file.unpack:
            path.replace(workspace.files / file.name)
        for name in sorted(names):
            records[name] = record(workspace.files / name, published=file.has_checksum)
    return records


def endpoint() -> str:
    """Of Hugging Face, or of who stands in for it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE


def _whole(file: HttpFile, workspace: Workspace, progress: Progress) -> Path:
    url = file.url
    if url.startswith(f"{HUGGING_FACE}/"):
        url = endpoint() + url.removeprefix(HUGGING_FACE)
    path = workspace.downloads / file.name
    with progress.of(file.name, file.size_bytes) as tracker:
        download(Download(url, path, tracker, workspace.room, size_bytes=file.size_bytes))
    if wrong := file_fault(path, file, read=True):
        path.unlink()
        raise PullError(f"{wrong}; it came from {url}: run the command again, and check the catalogue if it recurs")
    return path


def _unpack(path: Path, patterns: tuple[str, ...], workspace: Workspace) -> set[str]:
    """The names of what was taken out; folders in the archive are passed over."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                info: name
                for info in archive.infolist()
                if not info.is_dir()
                and any(fnmatchcase(name := PurePosixPath(info.filename).name, pattern) for pattern in patterns)
            }
            names = set(members.values())
            absent = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
            if absent or len(names) < len(members):
                raise PullError(f"{path.name} does not hold {', '.join(absent) or 'each file once'}; see the catalogue")
            workspace.room(sum(info.file_size for info in members))
            for info, name in members.items():
                unpack(archive, info, workspace.files / name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as exc:  # zipfile's own for a password's lack
        path.unlink()
        raise PullError(f"{path.name} is not a whole zip archive: {exc}; run the command again") from exc
    return names
