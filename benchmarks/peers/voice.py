"""Who answers by speech: EdgeVoice, asked by a device, and the naive server in both its forms."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from enum import Enum
from functools import partial
from time import perf_counter
from urllib.parse import urlencode

from agent.audio import Audio, encode_wav
from agent.contract.base64 import encode_base64
from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import HOST
from benchmarks.device import Device
from benchmarks.peers.naive_server import serving_naively
from benchmarks.speech import RATE_HZ, pieces

SYSTEM = "You are a helpful assistant."
_PIECE_S = 0.1
_PATIENCE_S = 60.0


class Peer(str, Enum):
    """Who answers, in the order of turns."""

    PROCESSES = "a process per stage"
    KEPT = "kept, one after the other"
    CHUNKS = "EdgeVoice"
    LIVE = "EdgeVoice, live clip"


@dataclass(frozen=True)
class Question:
    """What is asked, once."""

    max_tokens: int
    text: str = ""
    clip: Audio | None = None

    @property
    def body(self) -> bytes:
        """As it is posted to the naive server."""
        return encode_wav(self.clip) if self.clip else self.text.encode()


Ask = Callable[[Question], Awaitable[tuple[float, float]]]
"""Asks, and tells the time to the first sound and to the end [s]."""


@asynccontextmanager
async def peers(voice: str) -> AsyncIterator[dict[Peer, Ask]]:
    """Every peer, in processes of its own."""
    settings = StackSettings(
        parts=(Part.BROKER, Part.AGENT),
        stt=EngineSettings(name="pocketsphinx"),
        llm=EngineSettings(name="llamacpp"),
        tts=EngineSettings(name=voice),
        environment={"EDGEVOICE_SESSIONS__UNNAMED_IDLE_S": "0"},  # no answer is to be longer to read for than another
    )
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(settings))
        device = exits.enter_context(Device.connected(stack.mqtt(), stack.topics))
        kept = await exits.enter_async_context(serving_naively(stack.folder, voice, kept=True))
        processes = await exits.enter_async_context(serving_naively(stack.folder, voice, kept=False))
        yield {
            Peer.PROCESSES: partial(_post, processes),
            Peer.KEPT: partial(_post, kept),
            Peer.CHUNKS: partial(_ask, device),
            Peer.LIVE: partial(_say, device),
        }


async def _post(port: int, question: Question) -> tuple[float, float]:
    """The naive server's answer is there, first and last sound of it, once it is whole."""
    whole_s = await asyncio.to_thread(_posted, port, question)
    return whole_s, whole_s


def _posted(port: int, question: Question) -> float:
    target = f"/ask?{urlencode({'system': SYSTEM, 'max_tokens': question.max_tokens})}"
    body = question.body
    with closing(http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_S)) as connection:
        connection.connect()
        asked_at = perf_counter()
        connection.request("POST", target, body)
        answer = connection.getresponse()
        if not answer.read().startswith(b"RIFF"):
            raise RuntimeError(f"the naive server answered {answer.status}")
        return perf_counter() - asked_at


async def _ask(device: Device, question: Question) -> tuple[float, float]:
    given = {"audio": encode_base64(encode_wav(question.clip))} if question.clip else {"text": question.text}
    heard = await device.ask({**given, **_wanted(question)})
    return heard.audio_s, heard.whole_s


async def _say(device: Device, question: Question) -> tuple[float, float]:
    assert question.clip is not None
    how = {"format": "pcm_s16le", "sample_rate": RATE_HZ, "end_silence_ms": 0}
    sent = [piece.pcm16() for piece in pieces(question.clip, _PIECE_S)]
    heard = await device.say(sent, {**how, **_wanted(question)}, pace_s=_PIECE_S)
    return heard.audio_s, heard.whole_s


def _wanted(question: Question) -> dict[str, object]:
    return {
        "reply_mode": "audio",
        "stream": {"text": False, "audio": True},
        "system": SYSTEM,
        "params": {"max_tokens": question.max_tokens},
    }
