"""How much memory this process holds, and how much the machine has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def resident_bytes() -> int | None:
    """Resident memory [bytes]; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that may still be taken [bytes], by the machine and by our cgroups; None where nobody tells."""
    found = [_machine(root / "proc/meminfo"), *(_cgroup(folder) for folder in _cgroups(root))]
    return min((left for left in found if left is not None), default=None)


def _machine(meminfo: Path) -> int | None:
    return _field(meminfo, "MemAvailable:", unit=1_024)


def _cgroups(root: Path) -> Iterator[Path]:
    """Our own cgroup and those it lies in, each of which may have a limit: a container's, a unit's. Version 2 only."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    top = root / "sys/fs/cgroup"
    for part in (Path(own), *Path(own).parents):
        yield top / part


def _cgroup(folder: Path) -> int | None:
    """What a limit leaves; what the kernel keeps of files it gives back when it is wanted."""
    try:
        limit, used = ((folder / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used) + (_field(folder / "memory.stat", "inactive_file") or 0))
    except (OSError, ValueError):  # no such file; no limit, which is written `max`
        return None


def _field(path: Path, name: str, *, unit: int = 1) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(words[1]) * unit for words in map(str.split, lines) if words[:1] == [name]), None)
