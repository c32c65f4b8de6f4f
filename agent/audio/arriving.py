"""A clip that comes in pieces of any size: heard as far as it has come, and whole once it has."""

from __future__ import annotations

from typing import Literal

from agent.audio.riff import Beginning, Codec, WavFormat, cannot_begin, check_length, find_samples
from agent.audio.sound import Audio
from agent.audio.wav import WAV_HEADER_BYTES, decode_samples, wav_header
from agent.contract.terms import AudioFormat
from agent.errors import AudioError

__all__ = ["MAX_HEADER_BYTES", "ArrivingClip"]

MAX_HEADER_BYTES = 2**21
"""A WAV file whose samples do not begin within so much is refused: until they do, nobody knows how long it is."""


class ArrivingClip:
    """Samples, or a WAV file that begins with its header, cut anywhere. Once it has raised, it is of no more use."""

    def __init__(
        self,
        format: Literal[AudioFormat.WAV, AudioFormat.PCM],  # noqa: A002 - its name
        *,
        max_s: float,
        sample_rate: int | None = None,
        channels: int = 1,
    ) -> None:
        """`sample_rate` [Hz] and `channels`, 1 or 2, are those of samples; a WAV file tells its own."""
        self._max_s = max_s
        self._file = bytearray()
        self._begins: Beginning | None = None
        self._has_header = format is AudioFormat.WAV
        if not self._has_header:
            if sample_rate is None:
                raise ValueError("samples alone do not say how many make a second")
            self._begins = Beginning(WavFormat(Codec.PCM, channels, sample_rate, 16), WAV_HEADER_BYTES, None)
            self._file += bytes(WAV_HEADER_BYTES)
        self._heard = WAV_HEADER_BYTES

    @property
    def duration_s(self) -> float:
        """How much of it has come [s]."""
        if self._begins is None:
            return 0.0
        wav_format = self._begins.format
        return (self._heard - self._begins.offset) // wav_format.block_align / wav_format.sample_rate

    def feed(self, data: bytes) -> Audio | None:
        """The next piece; what can be heard now and could not before, downmixed, or None.

        Raises AudioError: a file we do not read, or a clip longer than `max_s`, as soon as it is known.
        """
        self._file += data
        if self._begins is None:
            self._begins = self._find_samples()
            if self._begins is None:
                return None
            self._heard = self._begins.offset
        return self._hear(self._begins)

    def wav(self) -> bytes:
        """All whole frames that have come, as a WAV file; one that came as such is as it came, without what follows.

        Raises AudioError where its header has not come whole.
        """
        if self._begins is None:
            raise cannot_begin()
        if not self._has_header:
            self._file[:WAV_HEADER_BYTES] = wav_header(self._begins.format, self._heard - WAV_HEADER_BYTES)
        with memoryview(self._file) as file:
            return bytes(file[: self._heard])

    def _find_samples(self) -> Beginning | None:
        begins = find_samples(self._file)
        if begins is None and len(self._file) > MAX_HEADER_BYTES:
            raise AudioError(
                f"no samples within the first {MAX_HEADER_BYTES} bytes of the WAV file: write them sooner",
                reason="bad_wav",
            )
        return begins

    def _hear(self, begins: Beginning) -> Audio | None:
        if begins.length is not None:
            del self._file[begins.offset + begins.length :]  # other chunks
        frame = begins.format.block_align
        start, end = self._heard, begins.offset + (len(self._file) - begins.offset) // frame * frame
        if start == end:
            return None
        self._heard = end
        check_length(self.duration_s, max_s=self._max_s)
        with memoryview(self._file) as file:
            return decode_samples(file[start:end], begins.format)
