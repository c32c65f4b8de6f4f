"""Whether what is stored lasts: inside a container, only what lies on a volume does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from agent.settings import Settings

_ROOT = Path("/")
_MARKS = (".dockerenv", "run/.containerenv")
"""What Docker, and Podman and its kin, put into a container."""
_SYSTEM_CONTAINERS = {"lxc", "lxc-libvirt", "systemd-nspawn"}
"""What `container` is in those whose root lasts like that of a machine."""
_CGROUPS = re.compile(r"docker|containerd|kubepods|libpod|cri-o")
_LAYERED = {"overlay", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs"}
_IN_MEMORY = {"tmpfs", "ramfs"}
_OCTAL = re.compile(r"\\([0-7]{3})")


class EphemeralHomeError(UserError):
    """What would be stored is lost with the container."""


@dataclass(frozen=True)
class Mount:
    """A file system, and where it begins."""

    point: Path
    kind: str
    """Its type, as the kernel names it."""

    @property
    def is_lost(self) -> bool:
        """Whether it ends with the container: its own writable layer, or memory."""
        return self.kind in _IN_MEMORY or (self.kind in _LAYERED and self.point == Path("/"))


@dataclass(frozen=True)
class Loss:
    """A folder of ours that ends with the container."""

    folder: Path
    variable: str
    """The setting that names it."""
    mount: Mount


def check_home(settings: Settings, root: Path = _ROOT, environ: Mapping[str, str] = os.environ) -> None:
    """EphemeralHomeError where models or journal would be lost with the container, unless that is allowed."""
    if settings.allow_ephemeral or not in_container(root, environ):
        return
    if loss := lost_folder(settings, root):
        raise EphemeralHomeError(
            f"{loss.folder} is lost with this container ({loss.mount.kind} at {loss.mount.point}): mount a volume there"
            f" (`docker run -v edgevoice:{loss.folder.resolve()} …`), set {loss.variable} to a path on one, or set"
            " EDGEVOICE_ALLOW_EPHEMERAL=true if it may be lost"
        )


def in_container(root: Path = _ROOT, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is an application's container: by systemd's variable, the engine's marks, the first process."""
    container = environ.get("container", "")
    if container in _SYSTEM_CONTAINERS:
        return False
    marked = bool(container) or any((root / mark).exists() for mark in _MARKS)
    return marked or _CGROUPS.search(_read(root / "proc/1/cgroup")) is not None


def lost_folder(settings: Settings, root: Path = _ROOT) -> Loss | None:
    """The first of home and the journal's folder that ends with the container."""
    folders = ((settings.home, "EDGEVOICE_HOME"), (settings.journal_path.parent, "EDGEVOICE_JOURNAL__PATH"))
    for folder, variable in folders:
        if mount := lost_mount(folder, root):
            return Loss(folder, variable, mount)
    return None


def lost_mount(path: Path, root: Path = _ROOT) -> Mount | None:
    """The file system that `path` is on, or would be, if it ends with the container."""
    path = path.resolve()
    found = [mount for mount in _mounts(_read(root / "proc/self/mountinfo")) if mount.point in (path, *path.parents)]
    if not found:
        return None
    deepest = max(len(mount.point.parts) for mount in found)
    mount = [mount for mount in found if len(mount.point.parts) == deepest][-1]  # the last one hides the others
    return mount if mount.is_lost else None


def _mounts(mountinfo: str) -> list[Mount]:
    """Of /proc/self/mountinfo: the fifth field is the mount point, and the type follows a lone dash."""
    mounts = []
    for line in mountinfo.splitlines():
        fields, dash, rest = line.partition(" - ")
        if dash and len(words := fields.split(" ")) > 4:  # noqa: PLR2004 - as above
            point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), words[4])
            mounts.append(Mount(Path(point), rest.split(" ")[0]))
    return mounts


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
