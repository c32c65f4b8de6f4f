"""How much memory this process holds."""

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
