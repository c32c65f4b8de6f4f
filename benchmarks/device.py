"""A device that speaks and listens: a bare MQTT client that notes when it hears what."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import paho.mqtt.client as paho

from agent.contract.terms import Operation, UploadStep
from agent.contract.topics import Topics, UploadPart
from agent.mqtt.settings import MqttSettings
from agent.stack import DEMO_USER
from benchmarks.paho_client import QOS, subscribed

_PATIENCE_S = 120.0
_WAV = b"RIFF"


@dataclass
class Heard:
    """What came of one question; times are since its last word had been said."""

    asked_at: float = 0.0
    first_token_s: float | None = None
    first_audio_s: float | None = None
    whole_s: float = 0.0
    """To the reply that ends it."""
    chunks: int = 0
    deltas: list[str] = field(default_factory=list)
    """The answer as it was told while it was written."""
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def audio_s(self) -> float:
        """To the first sound of the answer; ValueError where none came."""
        if self.first_audio_s is None:
            raise ValueError(f"no speech came: {json.dumps(self.reply)[:500]}")
        return self.first_audio_s

    def take(self, payload: bytes) -> bool:
        """Notes one message; True for the one that ends it."""
        since_s = perf_counter() - self.asked_at
        if payload.startswith(_WAV):
            self.chunks += 1
            self.first_audio_s = self.first_audio_s or since_s
            return False
        told = json.loads(payload)
        if told.get("type") == "token":
            self.first_token_s = self.first_token_s or since_s
            self.deltas.append(told["delta"])
        if "status" not in told:
            return False
        self.whole_s, self.reply = since_s, told
        return True


class Device:
    """Asks one question at a time."""

    def __init__(self, topics: Topics, user: str) -> None:
        self._topics = topics
        self._user = user
        self._client: paho.Client
        self._heard = Heard()
        self._done: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    @contextmanager
    def connected(cls, settings: MqttSettings, topics: Topics, user: str = DEMO_USER) -> Iterator[Device]:
        """A device that hears all replies to `user`."""
        device = cls(topics, user)
        with subscribed(settings, topics.all_replies(user), device._book) as device._client:
            yield device

    async def ask(self, fields: Mapping[str, Any], *, operation: Operation = Operation.CHAT) -> Heard:
        """One request, in JSON. TimeoutError where it is never answered."""
        request = json.dumps({"id": uuid.uuid4().hex, **fields}).encode()
        self._begin()
        self._client.publish(self._topics.request(self._user, operation), request, QOS)
        return await self._end()

    async def send(self, topic: str, payload: bytes) -> Heard:
        """One request as it is, on a topic of its own."""
        self._begin()
        self._client.publish(topic, payload, QOS)
        return await self._end()

    async def say(self, pieces: Sequence[bytes], fields: Mapping[str, Any], *, pace_s: float = 0.0) -> Heard:
        """A clip in pieces, each sent when it has been spoken: `pace_s` after the one before."""
        loop, name = asyncio.get_running_loop(), uuid.uuid4().hex
        self._begin()
        self._upload(name, UploadPart(UploadStep.START), json.dumps(dict(fields)).encode())
        began = loop.time()
        for number, piece in enumerate(pieces):
            await asyncio.sleep(max(0.0, began + (number + 1) * pace_s - loop.time()))
            self._upload(name, UploadPart(UploadStep.CHUNK, number), piece)
        self._heard.asked_at = perf_counter()
        self._upload(name, UploadPart(UploadStep.END), json.dumps({"chunks": len(pieces)}).encode())
        return await self._end()

    def _upload(self, name: str, part: UploadPart, payload: bytes) -> None:
        self._client.publish(self._topics.upload(self._user, name, part), payload, QOS)

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._heard = Heard(perf_counter())

    async def _end(self) -> Heard:
        await asyncio.wait_for(self._done, _PATIENCE_S)
        return self._heard

    def _book(self, payload: bytes) -> None:
        if self._heard.take(payload):
            self._loop.call_soon_threadsafe(self._finish, self._done)

    @staticmethod
    def _finish(done: asyncio.Future[None]) -> None:
        if not done.done():
            done.set_result(None)
