"""What the workers of a bridge count, in memory that they share."""

from __future__ import annotations

import mmap
import time
from bisect import bisect_left
from collections.abc import Sequence
from http import HTTPStatus
from itertools import accumulate
from typing import NamedTuple

OTHER = "other"
"""In place of a route, where there is none."""
HUNG_UP = 499
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, float("inf"))

_STATUSES = (*(status.value for status in HTTPStatus), HUNG_UP)
_STATUS_AT = {status: place for place, status in enumerate(_STATUSES)}
_SUM_AT = len(_STATUSES) + len(BUCKETS_S)
_ROUTE_CELLS = _SUM_AT + 1
_SEEN_AT, _WAITING_AT, _CONNECTED_AT = range(3)
_HEAD_CELLS = 3
_CELL_BYTES = 8
_LOST_S = 3.0


class Served(NamedTuple):
    """What was asked for at one route."""

    route: str
    by_status: dict[int, int]
    buckets: tuple[int, ...]
    """Answers that took no longer than each of BUCKETS_S."""
    seconds: float
    """Time of all of them [s]."""


class Worker(NamedTuple):
    """How a worker fares."""

    waiting: int
    """Callers that wait there for the agent."""
    connected: bool
    """Whether it reaches the broker."""


class Tally:
    """A row of numbers for each worker's place; each writes its own, and reads all. Nothing is left of the last one.

    What a worker has counted stays when it dies, and its successor counts on; how it fares ends with it.
    """

    def __init__(self, routes: Sequence[str], *, workers: int = 1) -> None:
        """Memory for `workers`; processes that are forked from this one share it."""
        self._routes = (*routes, OTHER)
        self._place_of = {route: place for place, route in enumerate(self._routes)}
        self._row_cells = _HEAD_CELLS + len(self._routes) * _ROUTE_CELLS
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * self._row_cells * _CELL_BYTES)).cast("d")
        self._own = 0

    def begin_row(self, worker: int) -> None:
        """Makes this process the one of row `worker`."""
        self._own = worker * self._row_cells
        self._cells[self._own + _SEEN_AT] = 0.0

    def count(self, route: str, status: int, seconds: float) -> None:
        """One more request had its answer, in so long [s]."""
        start = self._own + _HEAD_CELLS + self._place_of[route] * _ROUTE_CELLS
        place = _STATUS_AT.get(status, _STATUS_AT[status // 100 * 100])
        self._cells[start + place] += 1
        self._cells[start + len(_STATUSES) + bisect_left(BUCKETS_S, seconds)] += 1
        self._cells[start + _SUM_AT] += seconds

    def tell(self, worker: Worker) -> None:
        """This one lives, and fares so; to be said every second."""
        self._cells[self._own + _WAITING_AT] = worker.waiting
        self._cells[self._own + _CONNECTED_AT] = worker.connected
        self._cells[self._own + _SEEN_AT] = time.monotonic()

    def workers(self) -> list[Worker]:
        """All that live."""
        heads = (self._cells[start : start + _HEAD_CELLS] for start in self._rows())
        now = time.monotonic()
        return [
            Worker(int(head[_WAITING_AT]), bool(head[_CONNECTED_AT]))
            for head in heads
            if now - head[_SEEN_AT] < _LOST_S
        ]

    def served(self) -> list[Served]:
        """All that was asked for, of all workers together."""
        rows = (self._cells[start : start + self._row_cells].tolist() for start in self._rows())
        cells = [sum(column) for column in zip(*rows, strict=True)][_HEAD_CELLS:]
        parts = (cells[at : at + _ROUTE_CELLS] for at in range(0, len(cells), _ROUTE_CELLS))
        found = (_served(route, part) for route, part in zip(self._routes, parts, strict=True))
        return [each for each in found if each.by_status]

    def _rows(self) -> range:
        return range(0, self._workers * self._row_cells, self._row_cells)


def _served(route: str, cells: list[float]) -> Served:
    by_status = {status: int(cells[place]) for status, place in _STATUS_AT.items() if cells[place]}
    buckets = tuple(accumulate(int(cell) for cell in cells[len(_STATUSES) : _SUM_AT]))
    return Served(route, by_status, buckets, cells[_SUM_AT])
