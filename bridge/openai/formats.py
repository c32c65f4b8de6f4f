"""How OpenAI's clients may have speech written down: by the agent, or here, by libsndfile, from the agent's samples."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from enum import Enum

from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import Reply
from agent.contract.terms import AudioFormat

__all__ = ["CHAT_FORMATS", "SPEECH_FORMATS", "FileKind", "SpeechFormat"]

OPENAI_HZ = 24_000
"""Of OpenAI's speech; MP3 knows this rate, and not every one that a voice may have."""


class FileKind(str, Enum):
    """A kind of file that the agent does not write."""

    MP3 = "mp3"
    FLAC = "flac"

    @property
    def media_type(self) -> str:
        """Its content type."""
        return {"mp3": "audio/mpeg", "flac": "audio/flac"}[self.value]


@dataclass(frozen=True)
class SpeechFormat:
    """One way to write speech down."""

    written: AudioFormat
    """What the agent is asked for."""
    sample_rate: int | None = None
    """Samples a second [Hz]; None for the voice's own."""
    file: FileKind | None = None
    """What is made of that here; it begins when the speech is whole."""

    async def check_known(self) -> None:
        """ContractError(unsupported_media) where this machine's libsndfile was built without it."""
        if self.file and self.file.value.upper() not in await asyncio.to_thread(_known):
            message = f"this machine cannot write {self.file.value}: ask for wav"
            reason = f"no_{self.file.value}"
            raise ContractError(ErrorCode.UNSUPPORTED_MEDIA, message, field="tts.format", reason=reason)

    async def in_base64(self, reply: Reply) -> str | None:
        """The speech of a reply; None where it has none."""
        audio = reply.audio
        if audio is None or audio.data is None:
            return None
        if self.file is None:
            return audio.data
        return encode_base64(await write_file(self.file, decode_base64(audio.data), audio.sample_rate))


_FORMATS = {
    "wav": SpeechFormat(AudioFormat.WAV),
    "opus": SpeechFormat(AudioFormat.OPUS),
    "mp3": SpeechFormat(AudioFormat.PCM, OPENAI_HZ, FileKind.MP3),
    "flac": SpeechFormat(AudioFormat.PCM, None, FileKind.FLAC),
}
_PCM = SpeechFormat(AudioFormat.PCM, OPENAI_HZ)
CHAT_FORMATS = {**_FORMATS, "pcm16": _PCM}
"""Of an answer to a chat."""
SPEECH_FORMATS = {**_FORMATS, "pcm": _PCM}
"""Of a text that is to be spoken."""


async def write_file(kind: FileKind, samples: bytes, sample_rate: int) -> bytes:
    """A file of `samples`, which are mono, of 16 bit, and so many a second [Hz]."""
    return await asyncio.to_thread(_write, kind, samples, sample_rate)


def _known() -> frozenset[str]:
    import soundfile  # noqa: PLC0415 - it brings numpy, and only who wants such a file needs them

    return frozenset(soundfile.available_formats())


def _write(kind: FileKind, samples: bytes, sample_rate: int) -> bytes:
    import soundfile  # noqa: PLC0415

    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", samplerate=sample_rate, channels=1, format=kind.value) as written:
        written.buffer_write(samples, dtype="int16")
    return file.getvalue()
