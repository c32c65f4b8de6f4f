"""Bars beside each other, as a picture: what a table says, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill

_INCHES = (9.0, 3.2)
_DPI = 110
_WIDTH = 0.8
_CASE_COLUMNS = 14


@dataclass(frozen=True)
class Chart:
    """One set of axes: a group of bars for each case, a bar in it for each of those compared."""

    title: str
    unit: str
    """Of the bars' heights."""
    bars: Mapping[str, Mapping[str, float]]
    """Case → who is compared → the figure. Not everyone has to be in every case."""
    log: bool = False
    """Heights by their order of magnitude."""


def draw(path: Path, charts: Sequence[Chart]) -> bool:
    """Writes `charts`, one below the other, as a PNG file; False where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return False
    # Only who draws pays for the import; and no display is needed, nor looked for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    width, height = _INCHES
    figure = Figure(figsize=(width, height * len(charts)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, chart in zip(figure.subplots(len(charts), squeeze=False)[:, 0], charts, strict=True):
        names = list(dict.fromkeys(name for case in chart.bars.values() for name in case))
        thickness = _WIDTH / len(names)
        for number, name in enumerate(names):
            drawn = {place: case[name] for place, case in enumerate(chart.bars.values()) if name in case}
            middle = (number - (len(names) - 1) / 2) * thickness
            bars = axes.bar([place + middle for place in drawn], list(drawn.values()), thickness, label=name)
            axes.bar_label(bars, fmt="{:.3g}", fontsize=7)
        axes.set_title(chart.title, loc="left", fontsize=10)
        axes.set_ylabel(chart.unit)
        axes.set_xticks(range(len(chart.bars)), [fill(case, _CASE_COLUMNS) for case in chart.bars], fontsize=8)
        axes.margins(y=0.15)
        if chart.log:
            axes.set_yscale("log")
        if len(names) > 1:
            axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path)
    return True
