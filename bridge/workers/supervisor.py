"""Several workers on one socket: forked, watched, replaced when they die or hang, and stopped together.

uvicorn has a supervisor too; it tells no service manager anything, and cannot keep a worker's place for its successor.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial

from agent.notify import notify
from agent.watchdog import Watchdog, period_s
from bridge.workers.mailbox import Mailbox
from bridge.workers.place import Place

logger = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PERIOD = timedelta(seconds=4)
_LOOK_S = 0.5
_FAILED = 1


class Supervisor:
    """The parent of the workers. It serves nobody, so that nothing a caller does can end it."""

    _mailbox: Mailbox
    _woken: int
    """Becomes readable when a signal came."""

    def __init__(self, work: Callable[[int], bool], *, workers: int, grace_s: float, silence_s: float = 20.0) -> None:
        """`work` is a worker's whole life, given its number, in a process of its own; False where it cannot begin.

        `grace_s` is how long each may take to end, `silence_s` how long it may say nothing before it is ended.
        """
        self._work = work
        self._grace_s = grace_s
        self._places = [Place(number) for number in range(workers)]
        self._silence_s = silence_s
        self._watchdog = Watchdog({f"worker {place.number}": partial(self._well, place) for place in self._places})
        self._ping_s = (period_s() or 0) / 4
        self._ping_at = 0.0
        self._stopping = False

    def run(self) -> bool:
        """Returns once told to stop and all workers have ended; False where one of them could not even begin."""
        began = False
        with Mailbox() as self._mailbox, self._signals() as self._woken:
            while not self._stopping:
                self._start_due()
                self._wait()
                if not self._bury() and not began:
                    self._stop()
                    return False
                self._end_silent()
                if not began and all(place.ready for place in self._places):
                    began = True
                    notify("READY=1")
                if began:
                    self._ping()
            notify("STOPPING=1")
            self._stop()
        return True

    def _start_due(self) -> None:
        for place in self._places:
            if place.due:
                # A signal between the fork and the worker's own handlers would be lost on both.
                signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
                try:
                    place.begin(self._live)
                except OSError as exc:
                    logger.error("worker %d cannot be started: %s", place.number, exc)  # noqa: TRY400 - all is said
                finally:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _live(self, number: int) -> None:
        """A worker, from its first moment on."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for stop in _STOP_SIGNALS:
            if signal.getsignal(stop) is not signal.SIG_IGN:
                signal.signal(stop, signal.default_int_handler if stop is signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        os.close(self._woken)
        self._mailbox.become_child(_PERIOD)
        if not self._work(number):
            raise SystemExit(_FAILED)

    def _wait(self) -> None:
        """Returns when a worker wrote or ended, a signal came, or some time has passed."""
        select.select([self._mailbox.fileno(), self._woken], [], [], min(_LOOK_S, self._ping_s or _LOOK_S))
        with suppress(BlockingIOError):
            os.read(self._woken, 4_096)
        by_pid = {place.process.pid: place for place in self._places if place.process}
        for pid, words in self._mailbox.read():
            if place := by_pid.get(pid):
                place.hear(words)

    def _bury(self) -> bool:
        """Takes note of the workers that ended; False where one did."""
        whole = True
        for place in self._places:
            if ended := place.bury():
                whole = False
                if not self._stopping:
                    logger.error("worker %d ended with %s", place.number, ended)
        return whole

    def _end_silent(self) -> None:
        for place in self._places:
            if place.process and place.silent_s > self._silence_s:
                logger.error("worker %d has said nothing for %g s: it is ended", place.number, place.silent_s)
                place.end()

    def _well(self, place: Place) -> bool:
        return place.ready and place.silent_s < self._silence_s

    def _ping(self) -> None:
        now = time.monotonic()
        if self._ping_s and now >= self._ping_at:
            self._ping_at = now + self._ping_s
            self._watchdog.look()

    def _stop(self) -> None:
        self._stopping = True
        for place in self._places:
            place.send(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_s
        while any(place.process for place in self._places) and time.monotonic() < deadline:
            self._wait()
            self._bury()
        for place in self._places:
            place.send(signal.SIGKILL)
        for place in self._places:
            if place.process:
                place.process.join()

    @contextmanager
    def _signals(self) -> Iterator[int]:
        """Where to read that a signal came: one to stop is noted, a child's end is seen by looking."""
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        before = {number: signal.getsignal(number) for number in (*_STOP_SIGNALS, signal.SIGCHLD)}
        wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _STOP_SIGNALS:
            if before[number] is not signal.SIG_IGN:  # `nohup` means it to live on
                signal.signal(number, self._on_stop)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)

    def _on_stop(self, *_: object) -> None:
        self._stopping = True
