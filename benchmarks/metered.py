"""What it costs who is asked: CPU time of processes, read from /proc. Linux only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.asking import Block, Load
from benchmarks.questions import Question

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Places of the two times, counted from what follows the program's name."""


@dataclass(frozen=True)
class Metered:
    """A load, with what the processes use meanwhile that have to do with it."""

    load: Load
    pids: Mapping[str, tuple[int, ...]]
    """By what they are together."""

    async def ask(self, question: Question, *, in_flight: int, seconds: float) -> Block:
        """As the port says."""
        before = self._used_s()
        block = await self.load.ask(question, in_flight=in_flight, seconds=seconds)
        block.cpu_s = {name: used_s - before[name] for name, used_s in self._used_s().items()}
        return block

    def _used_s(self) -> dict[str, float]:
        return {name: sum(map(cpu_s, pids)) for name, pids in self.pids.items()}


def cpu_s(pid: int) -> float:
    """CPU time that the process used so far, all its threads together [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S
