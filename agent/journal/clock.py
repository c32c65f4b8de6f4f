"""When something happened, told by two clocks: one that everybody reads, and one that nobody can set."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Moment(NamedTuple):
    """A point in time; the clock since the boot is trusted as long as the machine is not started again."""

    wall_s: float
    """Since 1970; steps where the clock is set."""
    boot_id: str | None
    """Names the boot; None where it is not known."""
    boot_s: float | None
    """Since that boot, sleep included."""

    @classmethod
    def now(cls, *, wall_s: float | None = None) -> Moment:
        """This moment; `wall_s` where the wall clock was read already."""
        return cls(time.time() if wall_s is None else wall_s, _boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def until(self, later: Moment) -> float:
        """How long it is from here to `later` [s]; never negative."""
        if self.boot_id and self.boot_id == later.boot_id and self.boot_s is not None and later.boot_s is not None:
            return max(0.0, later.boot_s - self.boot_s)
        return max(0.0, later.wall_s - self.wall_s)


@lru_cache(maxsize=1)
def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
