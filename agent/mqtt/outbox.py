"""What the broker has not confirmed yet; it outlives connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.mqtt.message import Delivery, Publication

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outgoing:
    publication: Publication
    done: asyncio.Future[Delivery]

    def settle(self, delivery: Delivery) -> None:
        if not self.done.done():
            self.done.set_result(delivery)


class Outbox:
    """Sends in order, so many at once; on a new connection, all that was not confirmed on the one before again."""

    def __init__(self, send: Callable[[Publication], int | None]) -> None:
        """`send` gives the packet identifier, None where there is none free just now, ValueError for a bad topic."""
        self._send = send
        self._waiting: deque[_Outgoing] = deque()
        self._sent: dict[int, _Outgoing] = {}
        """By packet identifier on this connection, in their order."""
        self._window = 0
        self.bytes = 0
        """Size of all that is not confirmed [bytes]."""

    def add(self, publication: Publication, done: asyncio.Future[Delivery]) -> None:
        """Sends `publication` in its turn; `done` is told what the broker said."""
        self.bytes += publication.packet_bytes
        self._waiting.append(_Outgoing(publication, done))
        self._pump()

    def begin(self, window: int, packet_limit: int) -> None:
        """A connection is there, whose broker takes so many unconfirmed packets, each of at most so many bytes."""
        self.end()
        fitting: deque[_Outgoing] = deque()
        for outgoing in self._waiting:
            if outgoing.publication.packet_bytes <= packet_limit:
                fitting.append(outgoing)
            else:  # the broker came back with a smaller limit
                logger.error("dropped a message for %r: larger than the broker takes", outgoing.publication.topic)
                self._forget(outgoing, Delivery.REFUSED)
        self._waiting = fitting
        self._window = window
        self._pump()

    def end(self) -> None:
        """The connection is gone, and with it what its packet identifiers meant."""
        self._window = 0
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent.clear()

    def confirm(self, mid: int, delivery: Delivery) -> None:
        """The broker answered the packet `mid` of this connection."""
        if outgoing := self._sent.pop(mid, None):
            self._forget(outgoing, delivery)
        self._pump()

    def close(self) -> None:
        """Gives up on all that is left."""
        self.end()
        for outgoing in self._waiting:
            outgoing.done.cancel()
        self._waiting.clear()
        self.bytes = 0

    def _pump(self) -> None:
        while self._waiting and len(self._sent) < self._window:
            outgoing = self._waiting[0]
            try:
                mid = self._send(outgoing.publication)
            except ValueError:
                logger.exception("a message for %r cannot be sent", outgoing.publication.topic)
                self._waiting.popleft()
                self._forget(outgoing, Delivery.REFUSED)
                continue
            if mid is None:
                return  # the next confirmation tries again
            self._waiting.popleft()
            self._sent[mid] = outgoing

    def _forget(self, outgoing: _Outgoing, delivery: Delivery) -> None:
        self.bytes -= outgoing.publication.packet_bytes
        outgoing.settle(delivery)
