"""An event loop on which time passes as soon as nothing is left to do: nobody waits for its timers."""

import asyncio
import selectors


class _Skipping(selectors.DefaultSelector):
    skipped_s = 0.0

    def select(self, timeout=None):
        events = super().select(timeout and 0)
        if not events and timeout:
            self.skipped_s += timeout
        return events


class HurriedLoop(asyncio.SelectorEventLoop):
    """What happens at the same time happens in the order in which it was asked for; threads' work, at once."""

    def __init__(self):
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self):
        return self._skipping.skipped_s

    def run_in_executor(self, executor, func, *args):  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to who waits for it
            done.set_exception(error)
        return done
