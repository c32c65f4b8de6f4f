"""How long to wait before connecting again, and whether somebody else has taken our place."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

_GOOD_CONNECTION_S = 10.0
_RIVAL_LOSSES = 5
_RIVAL_WINDOW_S = 30.0
_RIVAL_PAUSE_S = 60.0


class Pauses:
    """Growing, jittered pauses; long ones where every new connection is taken away from us at once.

    A broker that is there, and still lets each connection go as soon as it is made, mostly has two clients of one id,
    who throw each other out. Both would lose messages as long as they go on.
    """

    def __init__(self, min_s: float, max_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._now = now
        self._failures = 0
        self._connected_at = 0.0
        self._losses: deque[float] = deque(maxlen=_RIVAL_LOSSES)
        self.rival = False
        """Whether another client seems to use our id."""

    def connected(self) -> None:
        """A connection is there."""
        self._connected_at = self._now()

    def failed(self) -> None:
        """None could be made, or it was refused: nobody else takes them away."""
        self._losses.clear()
        self.rival = False

    def lost(self, *, broker_there: Callable[[], bool]) -> None:
        """The connection is gone; `broker_there` is asked only where it was a short one."""
        lasted_s = self._now() - self._connected_at
        if lasted_s > _GOOD_CONNECTION_S:
            self._failures = 0  # not at every connect: two clients of one id would throw each other out in a rush
            self._losses.clear()
            self.rival = False
        elif broker_there():
            self._losses.append(self._now())
            full = len(self._losses) == _RIVAL_LOSSES
            self.rival |= full and self._losses[-1] - self._losses[0] <= _RIVAL_WINDOW_S
        else:
            self._losses.clear()  # it ended, or was restarted

    def next_s(self) -> float:
        """The pause before the next try [s]."""
        if self.rival:
            return _RIVAL_PAUSE_S
        pause_s: float = min(self._max_s, self._min_s * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, guards nothing
