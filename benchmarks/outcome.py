"""What came of a benchmark, and how it is told: tables and verdicts on the console, figures and bars in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.plot import Chart, draw
from benchmarks.report import write


@dataclass(frozen=True)
class Verdict:
    """A figure beside its aim."""

    what: str
    figure: float
    aim: float
    unit: str = ""
    at_least: bool = False
    """Whether the figure is to be at least the aim, rather than at most."""

    @property
    def met(self) -> bool:
        """Whether the aim is reached."""
        return self.figure >= self.aim if self.at_least else self.figure <= self.aim

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        judged = "met" if self.met else "MISSED"
        return f"{self.what}: {self.figure:.3g}{self.unit}; aim {self.aim:g}{self.unit} {bound}: {judged}"


@dataclass
class Outcome:
    """All that a benchmark has to tell."""

    name: str
    settings: dict[str, Any]
    """What the figures depend on."""
    results: Sequence[Any]
    """Dataclasses of figures."""
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    verdicts: Sequence[Verdict] = ()
    remarks: Sequence[str] = ()
    """What was left out, and why."""
    failures: list[str] = field(default_factory=list)
    """What did not work, whatever its speed."""

    def tell(self, console: Console, folder: Path) -> int:
        """Shows it and writes it; the exit status: 1 where something failed."""
        for table in self.tables:
            console.print()
            console.print(table)
        for line in (*self.remarks, *map(str, self.verdicts), *(f"FAILED: {failure}" for failure in self.failures)):
            console.print(line, soft_wrap=True)
        verdicts = [asdict(verdict) | {"met": verdict.met} for verdict in self.verdicts]
        path = write(folder, self.name, self.settings, self.results, verdicts)
        console.print(f"The figures: {path}", soft_wrap=True)
        picture = path.with_suffix(".png")
        if self.charts and draw(picture, self.charts):
            console.print(f"The same as a picture: {picture}", soft_wrap=True)
        return int(bool(self.failures))
