"""How figures spread that were measured again and again."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

_TELLING_P99 = 100


@dataclass(frozen=True)
class Spread:
    """Some measurements, in the unit they were taken in."""

    n: int
    p50: float
    p99: float
    """The highest, where there are fewer than 100."""

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """ValueError where there are none."""
        ordered = sorted(figures)
        if not ordered:
            raise ValueError("nothing was measured")
        high = ordered[-1] if len(ordered) < _TELLING_P99 else ordered[len(ordered) * 99 // 100]
        return cls(len(ordered), statistics.median(ordered), high)

    def __str__(self) -> str:
        return f"{self.p50:.3g} / {self.p99:.3g}"
