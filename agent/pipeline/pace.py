"""How long a turn takes, as measured, and what follows from it for those who wait."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_FIRST_GUESS_S = 2.0
_SMOOTHING = 0.2
_AT_LEAST_LEFT = 0.25
"""What takes longer than usual is taken to have this much of its age still before it."""


@dataclass(frozen=True)
class Expected(Generic[T]):
    """When somebody has a turn, as far as can be told."""

    who: T
    begins_s: float
    """From now [s]; 0 where it has begun."""
    ends_s: float
    """From now [s]."""


class Pace:
    """The mean length of a turn; the latest count most."""

    def __init__(self, turns: int) -> None:
        """`turns`: how many there are at once."""
        self._turns = turns
        self._mean_s: float | None = None

    @property
    def mean_s(self) -> float:
        """How long a turn takes [s]."""
        return _FIRST_GUESS_S if self._mean_s is None else self._mean_s

    def took(self, seconds: float) -> None:
        """A turn ended after `seconds`."""
        if self._mean_s is None:
            self._mean_s = seconds
        self._mean_s += _SMOOTHING * (seconds - self._mean_s)

    def forecast(self, running: Iterable[tuple[T, float]], waiting: Iterable[T]) -> Iterator[Expected[T]]:
        """What to expect of those who have their turn, with their ages [s], and of those who wait, in their order.

        Whose turn ends first comes first; no more is worked out than is taken.
        """
        now = sorted((Expected(who, 0.0, self._left_s(age_s)) for who, age_s in running), key=_end)
        ends = [0.0] * (self._turns - len(now)) + [expected.ends_s for expected in now]
        return heapq.merge(now, self._later(ends, waiting), key=_end)

    def _left_s(self, age_s: float) -> float:
        return max(self.mean_s - age_s, _AT_LEAST_LEFT * age_s)

    def _later(self, ends: list[float], waiting: Iterable[T]) -> Iterator[Expected[T]]:
        """Each of those who wait has the turn that ends next; `ends` is a heap."""
        for who in waiting:
            begins_s = ends[0]
            heapq.heapreplace(ends, begins_s + self.mean_s)
            yield Expected(who, begins_s, begins_s + self.mean_s)


def _end(expected: Expected[T]) -> float:
    return expected.ends_s
