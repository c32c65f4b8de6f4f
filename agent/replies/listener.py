"""Who hears of a run while it goes on: its events and its speech, as messages below its reply topic."""

from __future__ import annotations

import asyncio
from asyncio import Future

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.messages import StreamOptions
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, PacketTooLarge, Publication

_JSON = "application/json"
_EVENTS_STOP_AT_BYTES = 16_000_000
_SPEECH_WAITS_AT_BYTES = 8_000_000
_CHUNKS_AT_ONCE = 200
_A_CHUNK_TAKES_S = 0.02
_OF_ITS_LENGTH = 0.8
"""However short the chunks are, they never come more slowly than they are played."""


class _Pacing:
    """How fast many small chunks go out: a broker keeps only so many for a caller that reads slowly.

    What passes that is lost, and the terminal reply with it.
    """

    def __init__(self) -> None:
        self._at_once = _CHUNKS_AT_ONCE
        self._due_s = 0.0

    async def turn(self, chunk_s: float) -> None:
        """Returns when another chunk may follow the one that went out, which sounds for `chunk_s`."""
        if self._at_once:
            self._at_once -= 1
            return
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s) + min(_A_CHUNK_TAKES_S, _OF_ITS_LENGTH * chunk_s)
        await asyncio.sleep(self._due_s - now_s)


class Listener:
    """One caller: gets all that it asked for, until nobody hears it, but no event that the broker cannot take now."""

    def __init__(self, mqtt: MqttClient, topics: Topics, reply_topic: str, wanted: StreamOptions | None) -> None:
        self._mqtt = mqtt
        self._topics = topics
        self._reply_topic = reply_topic
        self._heard = True
        self._pacing = _Pacing()
        self._last: Future[Delivery] | None = None
        self.events = wanted is not None and wanted.text
        self.audio = wanted is not None and wanted.audio
        self.chunk_bytes = wanted.chunk_bytes if wanted else None

    def hear(self, event: Event) -> None:
        """Publishes `event`, or leaves it out: the terminal reply tells all that matters."""
        # Whoever sends a clip in pieces may be away for a moment, and has to hear afterwards what is missing.
        needed = event.type is EventType.NACK
        if not needed and (not self._heard or self._mqtt.outbox_bytes > _EVENTS_STOP_AT_BYTES):
            return
        publication = Publication(self._topics.event(self._reply_topic), event.encode(), content_type=_JSON)
        if self._mqtt.fits(publication):
            self._mqtt.publish(publication).add_done_callback(self._sent)

    def play(self, chunk: int, speech: bytes, content_type: str) -> None:
        """Publishes a chunk of speech, whoever hears it. ContractError(reply_too_large) where the broker takes none."""
        topic = self._topics.audio(self._reply_topic, chunk)
        try:
            self._last = self._mqtt.publish(Publication(topic, speech, content_type=content_type))
        except PacketTooLarge as exc:
            message = f"a chunk of speech is larger than the broker takes: ask for a smaller chunk_bytes ({exc})"
            raise ContractError(ErrorCode.REPLY_TOO_LARGE, message, limit=exc.limit, actual=exc.size) from exc

    async def room(self, chunk_s: float) -> None:
        """Returns once another chunk may follow the one that was played, which sounds for `chunk_s`."""
        if self._last and self._mqtt.outbox_bytes > _SPEECH_WAITS_AT_BYTES:
            await asyncio.wait({self._last})
        await self._pacing.turn(chunk_s)

    def _sent(self, outcome: Future[Delivery]) -> None:
        if not outcome.cancelled() and outcome.result() is Delivery.NO_SUBSCRIBERS:
            self._heard = False
