"""What came of measuring an engine, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.table import Table

from benchmarks.command import table
from benchmarks.plot import Chart


@dataclass
class Measured:
    """What one engine took."""

    stage: str
    engine: str
    model: str
    device: str | None
    load_s: float
    memory_mib: int
    figures: dict[str, float] = field(default_factory=dict)
    """What is measured → the figure, in the unit that its name ends in."""


def tables(results: list[Measured]) -> list[Table]:
    """One of each stage."""
    shown = []
    for stage, rows in _by_stage(results).items():
        names = tuple(rows[0].figures)
        shown.append(table(stage, ("engine", "model"), ("load s", "MiB", *names), wrapped=True))
        for row in rows:
            figures = (f"{row.figures[name]:.3g}" for name in names)
            shown[-1].add_row(row.engine, row.model, f"{row.load_s:.2f}", str(row.memory_mib), *figures)
    return shown


def charts(results: list[Measured]) -> list[Chart]:
    """One of each unit of each stage, which the last word of a figure's name is."""
    shown = []
    for stage, rows in _by_stage(results).items():
        for unit in dict.fromkeys(name.rpartition(" ")[2] for name in rows[0].figures):
            bars: dict[str, dict[str, float]] = {}
            for row in rows:
                for name, figure in row.figures.items():
                    if name.endswith(unit):
                        bars.setdefault(name.removesuffix(unit).strip(), {})[row.engine] = figure
            shown.append(Chart(stage, unit, bars, log=True))
    return shown


def _by_stage(results: list[Measured]) -> dict[str, list[Measured]]:
    stages: dict[str, list[Measured]] = {}
    for one in results:
        stages.setdefault(one.stage, []).append(one)
    return stages
