"""Clips that need no more pieces: what still comes of them is passed over."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.journal.entries import RunKey

_REMEMBERED_S = 60.0
_MOST = 4_096


class Over:
    """The clips that were ended or refused a moment ago, or of which something came a moment ago."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[RunKey, float] = {}
        """In this order; the last that came of each [s]."""

    def add(self, key: RunKey) -> None:
        """Nothing more of it is wanted."""
        self._since.pop(key, None)
        self._since[key] = self._now()
        if len(self._since) > _MOST:
            del self._since[next(iter(self._since))]

    def passes_over(self, key: RunKey) -> bool:
        """Whether that is so of this clip, something of which has just come."""
        since = self._since.get(key)
        if since is None:
            return False
        if self._now() - since > _REMEMBERED_S:
            del self._since[key]
            return False
        self.add(key)
        return True

    def forget(self, key: RunKey) -> None:
        """It begins again."""
        self._since.pop(key, None)
