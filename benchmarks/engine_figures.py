"""What came of measuring an engine, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich import box
from rich.table import Table


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
    """One of each stage, and of each set of figures."""
    kinds: dict[tuple[str, ...], list[Measured]] = {}
    for one in results:
        kinds.setdefault((one.stage, *one.figures), []).append(one)
    shown = []
    for (stage, *columns), rows in kinds.items():
        table = Table(title=stage, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("engine", "model"):
            table.add_column(name, no_wrap=True)
        for name in ("load s", "MiB", *columns):
            table.add_column(name, justify="right")
        for row in rows:
            figures = (f"{row.figures[name]:.3g}" for name in columns)
            table.add_row(row.engine, row.model, f"{row.load_s:.2f}", str(row.memory_mib), *figures)
        shown.append(table)
    return shown
