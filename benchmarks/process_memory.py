"""How much memory other processes hold, and the most that one held meanwhile. Linux only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

_KIB_PER_MIB = 1_024
_FORGET_THE_PEAK = "5"


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process over a stretch of time."""

    before_mib: float
    peak_mib: float
    after_mib: float

    @classmethod
    def watching(cls, pid: int) -> Memory:
        """What `pid` holds now; from here on the kernel keeps its peak. OSError where that is not ours to ask."""
        Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_THE_PEAK, encoding="ascii")
        now = _field(pid, "VmRSS:")
        return cls(now, now, now)

    def looked_at(self, pid: int) -> Memory:
        """The same, with what `pid` held at most since, and holds now."""
        return replace(self, peak_mib=_field(pid, "VmHWM:"), after_mib=_field(pid, "VmRSS:"))


def held_mib(pid: int) -> tuple[float, float]:
    """Resident memory of `pid`, and what of it is nobody else's [MiB]."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    kib = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    return kib["Rss"] / _KIB_PER_MIB, (kib["Private_Clean"] + kib["Private_Dirty"]) / _KIB_PER_MIB


def children(pid: int) -> dict[int, list[str]]:
    """The processes that `pid` started, by their own ids, with their command lines."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]
    return {
        child: Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8").strip("\0").split("\0") for child in found
    }


def _field(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / _KIB_PER_MIB
