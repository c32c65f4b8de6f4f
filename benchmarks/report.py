"""What came of a benchmark: figures, the table of them, the file of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from agent import __version__
from benchmarks.load import Block


@dataclass(frozen=True)
class Case:
    """What is compared with each other."""

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
    floor_p50_ms: float | None
    """What no agent can be faster than; None where this is itself a part of it."""

    @property
    def added_ms(self) -> float | None:
        """How much later than the floor the median reply comes."""
        return None if self.floor_p50_ms is None else self.p50_ms - self.floor_p50_ms

    @property
    def ratio(self) -> float | None:
        """How many times the floor the median reply takes."""
        return None if self.floor_p50_ms is None else self.p50_ms / self.floor_p50_ms


def figures(case: Case, peer: str, blocks: Sequence[Block], *, floor: Sequence[Figures] = ()) -> Figures:
    """All blocks of one peer together; `floor` are the peers whose ways a request has to go, one after the other."""
    latencies_ms = sorted(1_000 * latency for block in blocks for latency in block.latencies_s)
    return Figures(
        case,
        peer,
        requests=len(latencies_ms),
        failures=sum(block.failures for block in blocks),
        p50_ms=statistics.median(latencies_ms),
        p99_ms=latencies_ms[min(len(latencies_ms) - 1, len(latencies_ms) * 99 // 100)],
        per_second=statistics.median(block.per_second for block in blocks),
        floor_p50_ms=sum(part.p50_ms for part in floor) if floor else None,
    )


def table(broker: str, all_figures: Sequence[Figures]) -> Table:
    """The figures of one broker, case by case."""
    shown = Table(title=f"Mosquitto {broker}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("question", "in flight", "who answers"):
        shown.add_column(name, no_wrap=True)
    for name in ("p50 ms", "p99 ms", "requests/s", "x floor", "+ ms", "failures"):
        shown.add_column(name, justify="right", no_wrap=True)
    for case, group in groupby((f for f in all_figures if f.case.broker == broker), key=lambda f: f.case):
        for number, one in enumerate(group):
            what = ("", "") if number else (case.question, str(case.in_flight))
            shown.add_row(*what, *_cells(one))
        shown.add_section()
    return shown


def write(folder: Path, name: str, settings: dict[str, Any], all_figures: Sequence[Figures]) -> Path:
    """A new JSON file in `folder`, with all there is to know of the run."""
    now = datetime.now(timezone.utc)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    results = [{**asdict(one.case), **_flat(one)} for one in all_figures]
    report = {"at": now.isoformat(), "machine": _machine(), "settings": settings, "results": results}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path
