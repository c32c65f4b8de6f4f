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


@dataclass
class _Stray:
    first: Message
    timer: asyncio.TimerHandle
    parts: list[tuple[UploadPart, bytes]] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(len(payload) for _, payload in self.parts)


class Strays:
    """What has come before its start; a little of each clip, and of all of them."""

    def __init__(self, unclaimed: Callable[[RunKey, Message], None]) -> None:
        """`unclaimed` is told of a clip whose start does not come, once, with the first message of it."""
        self._unclaimed = unclaimed
        self._strays: dict[RunKey, _Stray] = {}
        self._size_bytes = 0

    def keep(self, key: RunKey, part: UploadPart, message: Message) -> None:
        """Keeps what there is room for; the rest is missing, should the start come."""
        stray = self._strays.get(key)
        if stray is None:
            if len(self._strays) == _MOST_IDS:
                self._give_up(next(iter(self._strays)))
            timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._give_up, key)
            stray = self._strays[key] = _Stray(message, timer)
        if len(stray.parts) < _MOST_PARTS and self._size_bytes + len(message.payload) <= _MOST_BYTES:
            stray.parts.append((part, message.payload))
            self._size_bytes += len(message.payload)

    def claim(self, key: RunKey) -> list[tuple[UploadPart, bytes]]:
        """Here is the start: what was kept of that clip, in the order in which it came."""
        stray = self._take(key)
        return stray.parts if stray else []

    def close(self) -> None:
        """Nobody is told any more."""
        for key in list(self._strays):
            self._take(key)

    def _give_up(self, key: RunKey) -> None:
        if stray := self._take(key):
            self._unclaimed(key, stray.first)

    def _take(self, key: RunKey) -> _Stray | None:
        stray = self._strays.pop(key, None)
        if stray:
            stray.timer.cancel()
            self._size_bytes -= stray.size_bytes
        return stray
