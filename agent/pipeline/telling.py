"""What a run tells while it goes on: events in order, the pieces of an answer together, signs of life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from agent.contract.events import Event, EventType
from agent.contract.terms import Stage

TOKENS_TOGETHER_S = 0.05
"""What is written within this time comes as one event; the first piece comes at once."""
HEARTBEAT_S = 5.0


class Listener(Protocol):
    """Who hears of a run while it goes on."""

    @property
    def events(self) -> bool:
        """Whether events are wanted."""

    @property
    def audio(self) -> bool:
        """Whether the speech is wanted in chunks."""

    @property
    def chunk_bytes(self) -> int | None:
        """The largest of them [bytes]; None for one a sentence."""

    def hear(self, event: Event) -> None:
        """The next event."""

    def play(self, chunk: int, speech: bytes, content_type: str) -> None:
        """The next chunk of speech, counted from 0. ContractError where it cannot be sent."""

    async def room(self, chunk_s: float) -> None:
        """Returns once another chunk may follow the last one, which sounds for `chunk_s`."""


class Teller:
    """Numbers a run's events and gives them to whoever listens."""

    def __init__(self, request_id: str, listener: Listener | None, *, age_s: float = 0.0) -> None:
        """`age_s`: since the request arrived."""
        self.listener = listener
        self._id = request_id
        self._arrived = time.monotonic() - age_s
        self._told = 0
        self._written = ""
        self._together: asyncio.TimerHandle | None = None

    def arrived(self) -> None:
        """The request is whole only now: its time counts from here."""
        self._arrived = time.monotonic()

    @property
    def elapsed_ms(self) -> float:
        """Since the request arrived [ms]."""
        return (time.monotonic() - self._arrived) * 1_000

    @property
    def is_followed(self) -> bool:
        """Whether somebody hears of the run before its end."""
        return self.listener is not None and (self.listener.events or self.listener.audio)

    def tell(self, event: EventType, **details: Any) -> None:
        """Gives `event`, with those of its fields that belong to it, to whoever listens."""
        self._flush()
        self._tell(event, details)

    def wrote(self, piece: str) -> None:
        """The next piece of the answer; it goes out with those that follow at once."""
        if not self.listener or not self.listener.events:
            return
        self._written += piece
        if self._together is None:
            self._send_written()

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Gives signs of life while `stage` takes its time."""
        loop = asyncio.get_running_loop()

        def beat() -> None:
            self.tell(EventType.HEARTBEAT, stage=stage)
            beats[0] = loop.call_later(HEARTBEAT_S, beat)

        beats = [loop.call_later(HEARTBEAT_S, beat)]
        try:
            yield
        finally:
            beats[0].cancel()

    def close(self) -> None:
        """Nothing is told any more but what was written."""
        self._flush()

    def _send_written(self) -> None:
        self._together = None
        if self._written:
            delta, self._written = self._written, ""
            self._tell(EventType.TOKEN, {"delta": delta})
            self._together = asyncio.get_running_loop().call_later(TOKENS_TOGETHER_S, self._send_written)

    def _flush(self) -> None:
        if self._together:
            self._together.cancel()
            self._send_written()
        if self._together:
            self._together.cancel()
            self._together = None

    def _tell(self, event: EventType, details: dict[str, Any]) -> None:
        # Whoever sends a clip in pieces has to hear which of them are missing.
        if not self.listener or not (self.listener.events or event is EventType.NACK):
            return
        number, self._told = self._told, self._told + 1
        self.listener.hear(Event(type=event, id=self._id, seq=number, t_ms=round(self.elapsed_ms, 1), **details))
