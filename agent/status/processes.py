"""Our processes on this machine, found by their titles, and what each takes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.title import words_of

_PROC = Path("/proc")
_BROKER = "mosquitto"
_PARTS = ("broker", "agent", "engine", "bridge")
_TICKS_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True)
class Process:
    """One process at this moment."""

    what: str
    """`broker`, `agent orin`, `engine stt whispercpp`, `bridge`, `bridge worker 1`."""
    pid: int
    parent: int
    """Process id of who started it."""
    resident_bytes: int
    """Resident memory [bytes]."""
    cpu_s: float
    """Time of all processor cores that it has taken [s]."""
    uptime_s: float
    """How long ago it was started [s]."""


def running(proc: Path = _PROC) -> list[Process]:
    """Brokers first, then agents, engines and bridges; what belongs to other users, too."""
    found = [process for folder in proc.glob("[0-9]*") for process in _read(folder)]
    return sorted(found, key=lambda process: (_PARTS.index(process.what.split()[0]), process.what, process.pid))


def _read(folder: Path) -> Iterator[Process]:
    try:
        if what := _what(folder):
            yield _measured(folder, what)
    except (OSError, ValueError, IndexError):  # it has ended meanwhile
        return


def _what(folder: Path) -> str | None:
    """What it is; None where it is none of ours."""
    words = words_of((folder / "cmdline").read_bytes())
    if words:
        return " ".join(words) if words[0] in _PARTS else None
    return "broker" if (folder / "comm").read_text(encoding="utf-8", errors="replace").strip() == _BROKER else None


def _measured(folder: Path, what: str) -> Process:
    # The name of a program may have spaces and brackets; what follows it is numbers, from the third field on.
    fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    parent, user_ticks, system_ticks, started_ticks = (int(fields[number - 3]) for number in (4, 14, 15, 22))
    pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    return Process(
        what,
        int(folder.name),
        parent,
        pages * _PAGE_BYTES,
        (user_ticks + system_ticks) / _TICKS_S,
        max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / _TICKS_S),
    )
