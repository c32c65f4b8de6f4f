"""What the kernel says of a process: its memory, its open files, its threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Footprint:
    """At one moment."""

    rss_bytes: int
    """Resident memory [bytes]."""
    peak_bytes: int
    """The most it ever was [bytes]."""
    files: int
    """Open file descriptors."""
    threads: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """OSError where there is no such process."""
        folder = Path(f"/proc/{pid}")
        lines = (line.partition(":") for line in (folder / "status").read_text(encoding="utf-8").splitlines())
        status = {name: value.split() for name, _, value in lines}
        return cls(
            rss_bytes=1_024 * int(status["VmRSS"][0]),
            peak_bytes=1_024 * int(status["VmHWM"][0]),
            files=len(list((folder / "fd").iterdir())),
            threads=int(status["Threads"][0]),
        )
