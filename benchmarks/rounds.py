"""Rounds of measuring: who has its turn when, and how those compare who had theirs in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_turn(those: Iterable[T], number: int) -> list[T]:
    """The order of a round: every second one goes backwards, so that nobody is always asked after the same one."""
    ordered = list(those)
    return ordered[::-1] if number % 2 else ordered


def ratio(those: Sequence[float], these: Sequence[float]) -> float:
    """How many times as large as `these` those are: the median of the rounds."""
    return statistics.median(that / this for that, this in zip(those, these, strict=True))
