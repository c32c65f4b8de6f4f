"""What came of a benchmark: figures, the table of them, the file of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from agent import __version__
from benchmarks import command
from benchmarks.asking import Block

_CASE = ("question", "in flight", "answered by")


@dataclass(frozen=True)
class Case:
    """Under what the peers are compared."""

    broker: str
    question: str
    in_flight: int


@dataclass(frozen=True)
class Figures:
    """How one peer fared in one case."""

    case: Case
    peer: str
    requests: int
    failures: int
    p50_ms: float
    p99_ms: float
    per_second: float
    """Replies a second, the median of the rounds."""
    ratio: float | None
    """How many times the floor's p50; None for what is itself a floor."""
    added_ms: float | None
    """How much above the floor's p50."""
    cpu_us: dict[str, float] = field(default_factory=dict)
    """CPU time of a reply, by process [us], the median of the rounds; empty where nobody looked."""


def figures(case: Case, peer: str, blocks: Sequence[Block], *, floor: Sequence[Figures] = ()) -> Figures:
    """All rounds of one peer together; `floor` are those whose ways a request has to go, one after the other."""
    latencies_ms = sorted(1_000 * latency for block in blocks for latency in block.latencies_s)
    p50_ms = statistics.median(latencies_ms)
    floor_ms = sum(part.p50_ms for part in floor)
    return Figures(
        case,
        peer,
        requests=len(latencies_ms),
        failures=sum(block.failures for block in blocks),
        p50_ms=p50_ms,
        p99_ms=latencies_ms[len(latencies_ms) * 99 // 100],
        per_second=statistics.median(block.per_second for block in blocks),
        ratio=p50_ms / floor_ms if floor else None,
        added_ms=p50_ms - floor_ms if floor else None,
        cpu_us={
            name: statistics.median(1e6 * block.cpu_s[name] / len(block.latencies_s) for block in blocks)
            for name in blocks[0].cpu_s
        },
    )


def table(title: str, results: Sequence[Figures]) -> Table:
    """The figures, case by case."""
    figures = ("p50 ms", "p99 ms", "replies/s", "x floor", "floor + ms", "failed")
    shown = command.table(title, _CASE, figures)
    for case, group in groupby(results, key=lambda one: one.case):
        for number, one in enumerate(group):
            what = ("", "") if number else (case.question, str(case.in_flight))
            shown.add_row(*what, *_cells(one))
        shown.add_section()
    return shown


def cpu_table(title: str, results: Sequence[Figures]) -> Table:
    """What a reply costs in CPU time, case by case."""
    processes = list(dict.fromkeys(name for one in results for name in one.cpu_us))
    shown = command.table(title, _CASE, [f"{name} us" for name in (*processes, "together")])
    for case, group in groupby(results, key=lambda one: one.case):
        for number, one in enumerate(group):
            what = ("", "") if number else (case.question, str(case.in_flight))
            used = (f"{one.cpu_us[name]:.0f}" if name in one.cpu_us else "" for name in processes)
            shown.add_row(*what, one.peer, *used, f"{sum(one.cpu_us.values()):.0f}")
        shown.add_section()
    return shown


def write(
    folder: Path, name: str, settings: dict[str, Any], results: Sequence[Any], verdicts: Sequence[dict[str, Any]]
) -> Path:
    """A new JSON file in `folder` with the figures (dataclasses), and with what they depend on."""
    now = datetime.now(timezone.utc)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    report = {
        "at": now.isoformat(timespec="seconds"),
        "edgevoice": __version__,
        "machine": machine,
        "settings": settings,
        "verdicts": verdicts,
        "results": [asdict(one) for one in results],
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def _cells(one: Figures) -> tuple[str, ...]:
    return (
        one.peer,
        f"{one.p50_ms:.2f}",
        f"{one.p99_ms:.2f}",
        f"{one.per_second:,.0f}",
        "" if one.ratio is None else f"{one.ratio:.1f}",
        "" if one.added_ms is None else f"{one.added_ms:+.2f}",
        str(one.failures or ""),
    )
