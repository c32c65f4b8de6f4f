"""The sound of a clip that is still arriving: kept for the run, heard meanwhile, watched for the end of its speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from agent.audio import Audio
from agent.audio.arriving import ArrivingClip
from agent.audio.endpointer import Endpointer
from agent.contract.errors import ErrorCode
from agent.contract.messages import UploadStart
from agent.errors import AudioError
from agent.pipeline.hearing import Hearing

T = TypeVar("T")

_AT_ONCE_BYTES = 8_192
"""More than that is not worked on where everybody else would have to wait for it."""


class Recording:
    """One clip, whose bytes come in order. Close it, whatever comes of it, unless its hearing was taken."""

    def __init__(self, start: UploadStart, *, max_s: float) -> None:
        """A clip of at most `max_s` [s]."""
        self._clip = ArrivingClip(start.format, max_s=max_s, sample_rate=start.sample_rate, channels=start.channels)
        self._end_silence_ms = start.end_silence_ms
        self._endpointer: Endpointer | None = None
        self._hearing: Hearing | None = None
        self._size_bytes = 0

    def heard_by(self, hearing: Hearing | None) -> None:
        """Has what comes from now on heard at once."""
        self._hearing = hearing

    async def take(self, data: bytes) -> bool:
        """The next bytes; True where the speech has ended with them. Raises AudioError."""
        self._size_bytes += len(data)
        audio, ended = await beside(len(data), lambda: self._take(data))
        if audio and self._hearing:
            self._hearing.feed(audio)
        return ended

    async def wav(self) -> bytes:
        """The clip as a WAV file. AudioError where it is none, or empty."""
        wav = await beside(self._size_bytes, self._clip.wav) if self._size_bytes else b""
        if not self._clip.duration_s:
            raise AudioError("the clip is empty: record something", code=ErrorCode.NO_SPEECH, reason="empty_audio")
        return wav

    def give_hearing(self) -> Hearing | None:
        """What was heard so far, which is to be closed by who takes it."""
        hearing, self._hearing = self._hearing, None
        return hearing

    def close(self) -> None:
        """Nobody needs to hear it any more."""
        if hearing := self.give_hearing():
            hearing.close()

    def _take(self, data: bytes) -> tuple[Audio | None, bool]:
        audio = self._clip.feed(data)
        if audio is None or not self._end_silence_ms:
            return audio, False
        if self._endpointer is None:
            self._endpointer = Endpointer(audio.sample_rate, end_silence_ms=self._end_silence_ms)
        return audio, self._endpointer.feed(audio)


async def beside(size_bytes: int, work: Callable[[], T]) -> T:
    """Does `work` on so much at once where it is little, else on a thread of its own."""
    return work() if size_bytes <= _AT_ONCE_BYTES else await asyncio.to_thread(work)
