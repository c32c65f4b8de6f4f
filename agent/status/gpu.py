"""How much of a GPU's memory each process has, where its driver tells."""

from __future__ import annotations

import shutil
import subprocess

_QUERY = ("--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits")
_PATIENCE_S = 4.0
_MIB = 1 << 20


def memory_of_processes() -> dict[int, int]:
    """Process id → memory on all GPUs [bytes]; nothing without NVIDIA's driver, and on a Jetson, whose GPU has none."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return {}
    try:
        said = subprocess.run([smi, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    taken: dict[int, int] = {}
    for line in said.splitlines():
        pid, _, mib = (part.strip() for part in line.partition(","))
        if pid.isdecimal() and mib.isdecimal():  # else it is not told, as inside some containers
            taken[int(pid)] = taken.get(int(pid), 0) + int(mib) * _MIB
    return taken
