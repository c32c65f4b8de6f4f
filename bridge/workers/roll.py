"""Who waits for which request, as all workers of a bridge see it."""

from __future__ import annotations

import hashlib
import mmap
from collections import Counter
from typing import NamedTuple

_PLACES = 65_536
_HASH_BYTES = 2


class Key(NamedTuple):
    """What makes it one request, however often and at whichever worker it is asked."""

    client: str
    id: str


class Roll:
    """A row of flags for each worker, in memory that they share; each writes its own row and reads the others'.

    A request's place in the rows is a hash of its name. Where two share a place, the one is taken for the other: then
    a run goes on though nobody waits for it, and never the other way round.
    """

    def __init__(self, *, workers: int = 1) -> None:
        """Memory for `workers`; processes that are forked from this one share it."""
        self._memory = mmap.mmap(-1, workers * _PLACES)
        self._workers = workers
        self._worker = 0
        self._here: Counter[int] = Counter()

    def begin_row(self, worker: int) -> None:
        """Makes this process the one of row `worker`, which may be left over from one that was killed."""
        self._worker = worker
        self._memory[worker * _PLACES : (worker + 1) * _PLACES] = bytes(_PLACES)

    def add(self, key: Key) -> None:
        """One more caller waits here."""
        place = _place(key)
        self._here[place] += 1
        self._memory[self._worker * _PLACES + place] = 1

    def remove(self, key: Key) -> None:
        """One caller less waits here."""
        place = _place(key)
        self._here[place] -= 1
        if not self._here[place]:
            del self._here[place]
            self._memory[self._worker * _PLACES + place] = 0

    def elsewhere(self, key: Key) -> bool:
        """Whether somebody waits at another worker."""
        place = _place(key)
        return any(self._memory[row * _PLACES + place] for row in range(self._workers) if row != self._worker)


def _place(key: Key) -> int:
    digest = hashlib.blake2b("/".join(key).encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big")
