"""How long to wait before a process is started again."""

from __future__ import annotations

_MIN_S = 0.1
_MAX_S = 10.0
_GOOD_LIFE_S = 60.0


class Backoff:
    """A pause that doubles with each death, until one comes after a good life."""

    def __init__(self) -> None:
        self._next_s = _MIN_S

    def after(self, lived_s: float) -> float:
        """The pause [s] before the successor of a process that worked for `lived_s` [s]."""
        if lived_s >= _GOOD_LIFE_S:
            self._next_s = _MIN_S
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, _MAX_S)
        return pause_s
