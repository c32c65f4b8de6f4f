"""From paho's thread to the event loop, no faster than the loop takes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from agent.mqtt.message import Message

LIMIT_BYTES = 32_000_000
_STEP_S = 1.0


class Handover:
    """Calls on the event loop, in order; messages that wait there are bounded by their bytes.

    A broker may have a hundred large messages ready at a reconnect. While the loop has enough of them before it,
    paho's thread stands still, the socket fills, and the rest stays with the broker.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._loop = loop
        self._limit_bytes = limit_bytes
        self._waiting_bytes = 0
        self._calls: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._calling = threading.Lock()
        self._room = threading.Condition()
        self._closed = False

    def call(self, callback: Callable[..., None], *args: object) -> None:
        """Has `callback` called on the event loop."""
        with self._calling:
            about_to_take = bool(self._calls)
            self._calls.append((callback, args))
        if not about_to_take:
            with suppress(RuntimeError):  # the event loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._take)

    def message(self, callback: Callable[[Message], None], message: Message) -> None:
        """Has `callback` called with `message`; waits until there is room. After `close` it is dropped."""
        size = message.size_bytes
        with self._room:
            while not self._closed and self._waiting_bytes and self._waiting_bytes + size > self._limit_bytes:
                self._room.wait(_STEP_S)
            if self._closed:
                return
            self._waiting_bytes += size
        self.call(self._handle, callback, message, size)

    def close(self) -> None:
        """Lets whoever waits go."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def _take(self) -> None:
        """Lets the loop call what waits, each by itself: an error of one is not the others'."""
        with self._calling:
            calls, self._calls = self._calls, []
        for callback, args in calls:
            self._loop.call_soon(callback, *args)

    def _handle(self, callback: Callable[[Message], None], message: Message, size: int) -> None:
        try:
            callback(message)
        finally:
            with self._room:
                self._waiting_bytes -= size
                self._room.notify_all()
