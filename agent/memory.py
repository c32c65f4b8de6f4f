"""How much memory this process holds, and how much the machine has left."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes() -> int | None:
    """Resident memory [bytes]; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that may still be taken [bytes], by the machine and by our cgroup; None where the system does not tell."""
    found = [left for left in (_machine(root / "proc/meminfo"), _cgroup(root / "sys/fs/cgroup")) if left is not None]
    return min(found, default=None)


def _machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1_024 for line in lines if line.startswith("MemAvailable:")), None)


def _cgroup(folder: Path) -> int | None:
    """What a container's own limit leaves; files of cgroup v2."""
    try:
        limit, used = ((folder / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit != "max" else None
