"""Clips of ten minutes, as one message and in pieces, and an agent and a broker that take both."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from agent.audio import Audio, encode_wav
from agent.contract.limits import MAX_CHUNK_BYTES
from agent.contract.terms import ReplyMode
from agent.contract.topics import Topics
from agent.stack import DEMO_USER
from benchmarks.device import Device, Heard
from benchmarks.speech import RATE_HZ

LENGTH_S = 600
ENVIRONMENT: Mapping[str, str] = {
    "EDGEVOICE_LIMITS__MAX_MESSAGE_BYTES": "40000000",
    "EDGEVOICE_LIMITS__MAX_AUDIO_S": "601",
    "EDGEVOICE_LIMITS__MAX_UPLOAD_S": "601",
    "EDGEVOICE_LIMITS__MAX_QUEUED_BYTES_PER_CLIENT": "60000000",
    "EDGEVOICE_LIMITS__MAX_QUEUED_AUDIO_S_PER_CLIENT": "1200",
}
"""Of an agent that takes them."""
BROKER: Mapping[str, str] = {"max_packet_size": "45000000", "max_queued_bytes": "200000000"}
"""Directives of a broker that lets them through."""
FORMS = ("one message", "pieces of 64 kB")


def large_clip() -> Audio:
    """Ten minutes of hum."""
    second = np.sin(2 * np.pi * 220 * np.arange(RATE_HZ) / RATE_HZ)
    return Audio(np.tile((0.3 * second).astype(np.float32), LENGTH_S), RATE_HZ)


def senders(device: Device, topics: Topics, user: str = DEMO_USER) -> dict[str, Callable[[str], Awaitable[Heard]]]:
    """By form: what sends the clip under an id, and waits for its answer."""
    clip = large_clip()
    wav, pcm = encode_wav(clip), clip.pcm16()
    pieces = [pcm[start : start + MAX_CHUNK_BYTES] for start in range(0, len(pcm), MAX_CHUNK_BYTES)]
    start = {"format": "pcm_s16le", "sample_rate": RATE_HZ, "end_silence_ms": 0}

    async def in_one(name: str) -> Heard:
        return await device.send(topics.wav(user, name, ReplyMode.TEXT), wav)

    async def in_pieces(_name: str) -> Heard:
        return await device.say(pieces, start)

    return dict(zip(FORMS, (in_one, in_pieces), strict=True))


def failed(heard: Heard) -> str | None:
    """Why a clip was not answered."""
    return None if heard.reply.get("status") == "ok" else json.dumps(heard.reply)[:300]
