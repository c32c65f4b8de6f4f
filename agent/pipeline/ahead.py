"""The speech that goes ahead of the terminal reply, in chunks, to a caller who wants to hear it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.audio import Audio
from agent.audio.formats import Encoded, chunks
from agent.contract.events import EventType
from agent.contract.messages import VoiceOptions
from agent.contract.reply import AudioBody
from agent.contract.terms import AudioFormat
from agent.pipeline.telling import Listener, Teller


class Ahead:
    """What went out of one answer's speech."""

    def __init__(self, listener: Listener, teller: Teller, options: VoiceOptions) -> None:
        """`options`: the form in which the caller wants to have it."""
        self._listener = listener
        self._teller = teller
        self._options = options
        self._sample_rate = 0
        self._duration_ms = 0.0
        self.chunks = 0
        """How many went out; the number of the next one."""
        self.first_ms: float | None = None
        """When the first one did, since the arrival of the request [ms]."""

    @property
    def body(self) -> AudioBody | None:
        """What the reply says of them; None where there are none."""
        if not self.chunks:
            return None
        return AudioBody(
            format=self._options.format,
            sample_rate=self._sample_rate,
            duration_ms=round(self._duration_ms),
            chunks=self.chunks,
        )

    async def cut(self, audio: Audio) -> list[Encoded]:
        """The chunks of a sentence's `audio`, to be played next."""
        options, most = self._options, self._listener.chunk_bytes
        made = await asyncio.to_thread(
            lambda: list(chunks(audio, options.format, sample_rate=options.sample_rate, max_bytes=most))
        )
        self._duration_ms += audio.duration_s * 1_000
        return made

    async def play(self, made: Sequence[Encoded], sentence: str) -> None:
        """Sends the chunks of `sentence`, no faster than there is room. ContractError where one cannot be sent."""
        text: str | None = sentence
        for chunk in made:
            if self.first_ms is None:
                self.first_ms = self._teller.elapsed_ms
            self._listener.play(self.chunks, chunk.data, _content_type(self._options.format, chunk))
            self._teller.tell(EventType.AUDIO, chunk=self.chunks, bytes=len(chunk.data), text=text)
            self._sample_rate, text = chunk.sample_rate, None
            self.chunks += 1
            await self._listener.room(chunk.duration_ms / 1_000)


def _content_type(kind: AudioFormat, chunk: Encoded) -> str:
    if kind is AudioFormat.PCM:  # says nothing of itself
        return f"{kind.media_type};rate={chunk.sample_rate};channels=1"
    return kind.media_type
