"""Sound as one value, float32 mono at some rate; WAV files in and out, and the measure of silence."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from agent.contract.errors import ErrorCode
from agent.errors import AudioError
from agent.riff import MAX_CHANNELS, Codec, WavFile, check_wav

__all__ = ["SILENCE_DBFS", "Audio", "decode_wav", "encode_wav"]

SILENCE_DBFS = -55.0
"""A clip whose loudest window is below this is silence.

The noise of an open microphone in a quiet room, at -60 dBFS and below, stays under it in every window; the loudest
syllable of whispered speech, recorded so faintly that it averages -60 dBFS, rises above it.
"""

_WINDOW_S = 0.03

_SUBTYPES = {
    (Codec.PCM, 8): "PCM_U8",
    (Codec.PCM, 16): "PCM_16",
    (Codec.PCM, 24): "PCM_24",
    (Codec.PCM, 32): "PCM_32",
    (Codec.FLOAT, 32): "FLOAT",
    (Codec.FLOAT, 64): "DOUBLE",
    (Codec.A_LAW, 8): "ALAW",
    (Codec.MU_LAW, 8): "ULAW",
}

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


@dataclass(frozen=True, eq=False)
class Audio:
    """A clip, mono."""

    samples: npt.NDArray[np.float32]
    """One dimension, within [-1, 1]."""
    sample_rate: int
    """Samples a second [Hz]."""

    @classmethod
    def from_pcm16(cls, shorts: npt.NDArray[np.int16], sample_rate: int) -> Audio:
        """The clip that 16-bit integers stand for."""
        return cls(shorts.astype(np.float32) / np.float32(32_768), sample_rate)

    @property
    def duration_s(self) -> float:
        """Length [s]."""
        return len(self.samples) / self.sample_rate

    @property
    def level_dbfs(self) -> float:
        """RMS of the loudest 30 ms, a constant offset left out [dBFS]; -inf where nothing ever moves."""
        window = max(1, round(self.sample_rate * _WINDOW_S))
        whole = len(self.samples) // window * window
        loudest = self.samples[:whole].reshape(-1, window).std(axis=1).max(initial=0.0)
        rest = self.samples[whole:]
        if len(rest):
            loudest = max(loudest, rest.std())
        return 20 * math.log10(loudest) if loudest > 0 else -math.inf

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be speaking: no 30 ms of it reach SILENCE_DBFS."""
        return self.level_dbfs < SILENCE_DBFS

    def resampled(self, sample_rate: int) -> Audio:
        """The same sound at another rate; the same object at its own."""
        if sample_rate == self.sample_rate:
            return self
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate)
        return Audio(np.clip(samples, -1, 1, out=samples), sample_rate)  # a filter overshoots at full scale

    def pcm16(self) -> bytes:
        """The samples as 16-bit integers, little endian; what is no number is silence."""
        scaled = np.nan_to_num(self.samples)
        np.clip(scaled, -1, 1, out=scaled)
        scaled *= 32_768
        np.rint(scaled, out=scaled)
        return np.minimum(scaled, 32_767, out=scaled).astype("<i2").tobytes()


def decode_wav(data: bytes, *, max_s: float) -> Audio:
    """The clip in a WAV file, downmixed.

    Raises AudioError: a file we do not read, a clip longer than `max_s` (said before anything is decoded), or no
    sample at all.
    """
    wav = check_wav(data, max_s=max_s)
    if not wav.frames:
        raise AudioError("the clip is empty: record something", code=ErrorCode.NO_SPEECH, reason="empty_audio")
    frames = _decode(data, wav)
    if wav.format.codec is Codec.FLOAT:
        np.nan_to_num(frames, copy=False, nan=0, posinf=1, neginf=-1)
        np.clip(frames, -1, 1, out=frames)
    if wav.format.channels == MAX_CHANNELS:
        frames = (frames[:, 0] + frames[:, 1]) * np.float32(0.5)
    return Audio(frames, wav.format.sample_rate)


def encode_wav(audio: Audio, *, sample_rate: int | None = None) -> bytes:
    """`audio` as a WAV file of 16-bit PCM, at `sample_rate` [Hz] or its own."""
    rate = sample_rate or audio.sample_rate
    pcm = audio.resampled(rate).pcm16()
    header = _WAV_HEADER.pack(
        *(b"RIFF", _WAV_HEADER.size - 8 + len(pcm), b"WAVE"),
        *(b"fmt ", 16, Codec.PCM, 1, rate, 2 * rate, 2, 16),
        *(b"data", len(pcm)),
    )
    return header + pcm


def _decode(data: bytes, wav: WavFile) -> npt.NDArray[np.float32]:
    """The samples as they are, a column a channel.

    libsndfile gets them headerless: it parses nothing that a stranger wrote.
    """
    try:
        frames: npt.NDArray[np.float32] = soundfile.read(
            io.BytesIO(memoryview(data)[wav.offset : wav.offset + wav.length]),
            dtype="float32",
            format="RAW",
            subtype=_SUBTYPES[wav.format.codec, wav.format.bits],
            endian="LITTLE",
            samplerate=wav.format.sample_rate,
            channels=wav.format.channels,
        )[0]
    except soundfile.SoundFileError as exc:
        raise AudioError(f"the WAV file cannot be decoded: {exc}", reason="bad_wav") from exc
    return frames
