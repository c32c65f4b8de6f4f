"""A worker's place: who works there, how it fares, and when its successor may begin."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess

_GOOD_LIFE_S = 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


@dataclass
class Place:
    """A worker, and after it the next one."""

    number: int
    process: ForkProcess | None = field(default=None, init=False)
    """None between two workers."""
    ready: bool = field(default=False, init=False)
    """Whether it serves, as it said."""
    _started_at: float = field(default=0.0, init=False)
    _heard_at: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    _due_at: float = field(default=0.0, init=False)

    @property
    def due(self) -> bool:
        """Whether a worker is missing, and may begin now."""
        return self.process is None and self._due_at <= time.monotonic()

    @property
    def silent_s(self) -> float:
        """How long its worker has said nothing [s]."""
        return time.monotonic() - self._heard_at

    def begin(self, live: Callable[[int], None]) -> None:
        """Forks a worker, whose whole life is `live`, given the place's number; OSError where the machine cannot."""
        self._started_at = self._heard_at = time.monotonic()
        process = multiprocessing.get_context("fork").Process(target=live, args=(self.number,))
        try:
            process.start()
        except OSError:
            self._put_off()
            raise
        self.process, self.ready = process, False

    def hear(self, words: Collection[str]) -> None:
        """Its worker said this of itself, in systemd's words."""
        self._heard_at = time.monotonic()
        self.ready = (self.ready or "READY=1" in words) and "STOPPING=1" not in words

    def send(self, what: signal.Signals) -> None:
        """Sends a signal to its worker, if there is one."""
        if self.process and self.process.pid:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, what)

    def end(self) -> None:
        """Kills its worker, which says nothing; it gets time to be gone before that is looked at again."""
        self.send(signal.SIGKILL)
        self._heard_at = time.monotonic()

    def bury(self) -> str | None:
        """How its worker ended, which is forgotten then; None where none did."""
        if self.process is None or self.process.is_alive():
            return None
        ended = _how(self.process.exitcode)
        self._put_off()
        self.process.close()
        self.process, self.ready = None, False
        return ended

    def _put_off(self) -> None:
        """The next worker begins at once after one that lived well, else after a pause that grows."""
        now = time.monotonic()
        self._failures = 0 if now - self._started_at > _GOOD_LIFE_S else self._failures + 1
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self._failures - 1)) if self._failures else 0.0
        self._due_at = now + pause_s


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"
