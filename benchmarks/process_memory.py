"""How much memory another process holds, and the most it held meanwhile. Linux only."""

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


def _field(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / _KIB_PER_MIB
