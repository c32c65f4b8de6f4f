"""What is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.audio import Audio, encode_wav
from agent.contract.base64 import encode_base64

_CLIP_S = 3
_CLIP_RATE_HZ = 16_000
_CLIP_HZ = 220


@dataclass(frozen=True)
class Question:
    """What is asked again and again, each time under an id of its own."""

    name: str
    fields: bytes
    """JSON, but for the id."""

    def encode(self, request_id: bytes) -> bytes:
        """The request; its length does not depend on the id."""
        return b'{"id":"%b",%b}' % (request_id, self.fields)


def typed() -> Question:
    """A line of text, answered by text."""
    return Question("text", b'"text":"What is the capital of France?"')


def spoken() -> Question:
    """Three seconds of sound in a base64 WAV, answered by text."""
    times = np.arange(_CLIP_S * _CLIP_RATE_HZ, dtype=np.float32) / _CLIP_RATE_HZ
    sound = Audio((0.3 * np.sin(2 * np.pi * _CLIP_HZ * times)).astype(np.float32), _CLIP_RATE_HZ)
    wav = encode_wav(sound, sample_rate=_CLIP_RATE_HZ)
    return Question(f"{_CLIP_S} s clip", b'"audio":"%b"' % encode_base64(wav).encode())
