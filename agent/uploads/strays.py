"""Pieces of clips that nobody has begun: kept for a moment, their start may be right behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.contract.topics import UploadPart
from agent.journal.entries import RunKey
from agent.mqtt.message import Message

_PATIENCE_S = 1.0
_MOST_IDS = 256
_MOST_PARTS = 4
_MOST_BYTES = 1_000_000
_MOST_HELD = 8
"""Messages that are not acknowledged yet; the broker sends no more than 20 of them."""


@dataclass
class Stray:
    """What has come of one clip."""

    first: Message
    timer: asyncio.TimerHandle
    parts: list[tuple[UploadPart, bytes]] = field(default_factory=list)
    """What was kept, in the order in which it came."""
    held: Message | None = None
    """The last message, until it is acknowledged: it may be the one that makes the clip whole."""

    @property
    def size_bytes(self) -> int:
        """Size of what was kept."""
        return sum(len(payload) for _, payload in self.parts)


class Strays:
    """What has come before its start; a little of each clip, and of all of them."""

    def __init__(self, unclaimed: Callable[[RunKey, Message], None], ack: Callable[[Message], None]) -> None:
        """`unclaimed` is told of a clip whose start does not come, once, with the first message of it.

        `ack` is told of each message: at once, but of the last of each clip.
        """
        self._unclaimed = unclaimed
        self._ack = ack
        self._strays: dict[RunKey, Stray] = {}
        self._size_bytes = 0
        self._held = 0

    def keep(self, key: RunKey, part: UploadPart, message: Message) -> None:
        """Keeps what there is room for; the rest is missing, should the start come."""
        stray = self._strays.get(key)
        if stray is None:
            if len(self._strays) == _MOST_IDS:
                self._give_up(next(iter(self._strays)))
            timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._give_up, key)
            stray = self._strays[key] = Stray(message, timer)
        if len(stray.parts) < _MOST_PARTS and self._size_bytes + len(message.payload) <= _MOST_BYTES:
            stray.parts.append((part, message.payload))
            self._size_bytes += len(message.payload)
        self._hold(stray, message)

    def claim(self, key: RunKey) -> Stray | None:
        """Here is the start: what has come of that clip, whose last message is to be acknowledged by who claims it."""
        return self._take(key)

    def close(self) -> None:
        """Nobody is told any more; what is not acknowledged stays with the broker."""
        for key in list(self._strays):
            self._take(key)

    def _give_up(self, key: RunKey) -> None:
        if stray := self._take(key):
            if stray.held:
                self._ack(stray.held)
            self._unclaimed(key, stray.first)

    def _hold(self, stray: Stray, message: Message) -> None:
        if stray.held:
            self._ack(stray.held)
        elif self._held < _MOST_HELD:
            self._held += 1
        else:
            self._ack(message)
            return
        stray.held = message

    def _take(self, key: RunKey) -> Stray | None:
        stray = self._strays.pop(key, None)
        if stray:
            stray.timer.cancel()
            self._size_bytes -= stray.size_bytes
            self._held -= stray.held is not None
        return stray
