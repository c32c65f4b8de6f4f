"""Small stand-ins for the ports, for tests that need no process and no broker."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Stage
from agent.engines.base import Delta, ServedModel, Transcript
from agent.errors import EngineError
from agent.mqtt.message import Delivery, Message, PacketTooLarge, Publication


class FakeEngine:
    """Counts its calls and fails with what it is given, once each."""

    def __init__(self, *failures):
        self.info = EngineInfo(name="fake", model="m1", context_window=128)
        self.failures = list(failures)
        self.calls = 0
        self.ended = 0
        """Calls that ended, in whatever way."""
        self.hold = None
        """An event without which no call goes on."""

    async def begin(self):
        self.calls += 1
        try:
            if self.hold:
                await self.hold.wait()
            if self.failures:
                raise self.failures.pop(0)
        except BaseException:
            self.ended += 1
            raise


class FakeSpeechToText(FakeEngine):
    text = "what is it"

    async def transcribe(self, audio, *, language, prompt):
        await self.begin()
        self.ended += 1
        return Transcript(self.text, language or "en")


class FakeLanguageModel(FakeEngine):
    pieces = ("It ", "is", ".")
    fails_after_first = None
    messages = None
    sampling = None

    prompt = None

    async def complete(self, prompt, sampling):
        self.prompt = prompt
        async for delta in self.chat([], sampling):
            yield delta

    async def count(self, messages):
        return sum(len(message.content.split()) for message in messages)

    async def chat(self, messages, sampling):
        self.messages, self.sampling = messages, sampling
        await self.begin()
        try:
            for piece in self.pieces:
                yield Delta(piece)
                await asyncio.sleep(0)
                if self.fails_after_first:
                    failure, self.fails_after_first = self.fails_after_first, None
                    raise failure
            yield Delta("", FinishReason.STOP, 12, 3, 100.0, 50.0)
        finally:
            self.ended += 1


class FakeTextToSpeech(FakeEngine):
    async def synthesize(self, text, *, voice, speed):
        await self.begin()
        self.ended += 1
        return Audio(np.full(16_000, 0.1, dtype=np.float32), 16_000)


class FakeListener:
    """Hears of a run what it wants, and keeps it."""

    def __init__(self, *, events=True, audio=False, chunk_bytes=None):
        self.events = events
        self.audio = audio
        self.chunk_bytes = chunk_bytes
        self.heard: list[Event] = []
        self.played: list[tuple[int, bytes, str]] = []
        self.came = asyncio.Event()

    def hear(self, event):
        self.heard.append(event)
        self.came.set()

    async def room(self, chunk_s):
        """Always."""

    def play(self, chunk, speech, content_type):
        self.played.append((chunk, speech, content_type))
        self.came.set()

    @property
    def told(self):
        """What happened, without the pieces of the answer."""
        return [event.type for event in self.heard if event.type is not EventType.TOKEN]

    async def until(self, event_type):
        """The first event of this type, once there is one."""
        while not (found := [event for event in self.heard if event.type is event_type]):
            self.came.clear()
            await self.came.wait()
        return found[0]


@dataclass
class FakeEngines:
    """One of each, or none."""

    stt: Any = None
    llm: Any = None
    tts: Any = None

    async def language_model(self, name):
        if self.llm is None:
            raise EngineError(Stage.LLM, "no engine for llm", code=ErrorCode.MODEL_NOT_READY)
        return ServedModel(self.llm)


class FakeMqtt:
    """The agent's connection, with a broker that answers each publication as told: at once, or not."""

    def __init__(self, *, packet_limit=8_000_000):
        self.published: list[Publication] = []
        self.deliveries: list[asyncio.Future[Delivery]] = []
        self.acked: list[Message] = []
        self.ack = self.acked.append
        self.outbox_bytes = 0
        self.says: Delivery | None = Delivery.DONE
        """None where it says nothing."""
        self._packet_limit = packet_limit
        self._came = asyncio.Event()

    def fits(self, publication):
        return publication.packet_bytes <= self._packet_limit

    def publish(self, publication):
        if not self.fits(publication):
            raise PacketTooLarge(publication.packet_bytes, self._packet_limit)
        delivery = asyncio.get_running_loop().create_future()
        if self.says:
            delivery.set_result(self.says)
        self.published.append(publication)
        self.deliveries.append(delivery)
        self._came.set()
        return delivery

    async def replies(self, number):
        """What was published, decoded, once it is `number`."""
        while len(self.published) < number:
            self._came.clear()
            await self._came.wait()
        return [json.loads(publication.payload) for publication in self.published]

    async def reply(self):
        """The only reply."""
        [reply] = await self.replies(1)
        return reply
