"""WAV files in and out."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import soundfile

from agent.audio.riff import MAX_CHANNELS, Codec, WavFormat, check_wav
from agent.audio.sound import Audio
from agent.contract.errors import ErrorCode
from agent.errors import AudioError

__all__ = ["WAV_HEADER_BYTES", "decode_samples", "decode_wav", "encode_wav", "wav_header"]

_SUBTYPES = {
    (Codec.PCM, 8): "PCM_U8",
    (Codec.PCM, 24): "PCM_24",
    (Codec.PCM, 32): "PCM_32",
    (Codec.FLOAT, 32): "FLOAT",
    (Codec.FLOAT, 64): "DOUBLE",
    (Codec.A_LAW, 8): "ALAW",
    (Codec.MU_LAW, 8): "ULAW",
}

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
WAV_HEADER_BYTES = _WAV_HEADER.size
"""Size of the header that we write [bytes]."""


def decode_wav(data: bytes, *, max_s: float) -> Audio:
    """The clip in a WAV file, downmixed.

    Raises AudioError: a file we do not read, a clip longer than `max_s` (said before anything is decoded), or no
    sample at all.
    """
    wav = check_wav(data, max_s=max_s)
    if not wav.frames:
        raise AudioError("the clip is empty: record something", code=ErrorCode.NO_SPEECH, reason="empty_audio")
    return decode_samples(memoryview(data)[wav.offset : wav.offset + wav.length], wav.format)


def decode_samples(data: bytes | memoryview, wav_format: WavFormat) -> Audio:
    """What whole frames sound like, downmixed."""
    if (wav_format.codec, wav_format.bits) == (Codec.PCM, 16):
        samples = Audio.from_pcm16(np.frombuffer(data, "<i2"), wav_format.sample_rate).samples
    else:
        samples = _decode(data, wav_format)
    if wav_format.codec is Codec.FLOAT:
        np.nan_to_num(samples, copy=False, nan=0, posinf=1, neginf=-1)
        np.clip(samples, -1, 1, out=samples)
    if wav_format.channels == MAX_CHANNELS:
        samples = samples[0::2] + samples[1::2]
        samples *= np.float32(0.5)
    return Audio(samples, wav_format.sample_rate)


def encode_wav(audio: Audio, *, sample_rate: int | None = None) -> bytes:
    """`audio` as a WAV file of 16-bit PCM, at `sample_rate` [Hz] or its own."""
    rate = sample_rate or audio.sample_rate
    pcm = audio.resampled(rate).shorts().astype("<i2", copy=False)
    return b"".join((wav_header(WavFormat(Codec.PCM, 1, rate, 16), pcm.nbytes), pcm.data))


def wav_header(wav_format: WavFormat, length: int) -> bytes:
    """What goes before `length` bytes of samples to make them a file."""
    rate, frame = wav_format.sample_rate, wav_format.block_align
    return _WAV_HEADER.pack(
        *(b"RIFF", WAV_HEADER_BYTES - 8 + length, b"WAVE"),
        *(b"fmt ", 16, wav_format.codec, wav_format.channels, rate, rate * frame, frame, wav_format.bits),
        *(b"data", length),
    )


def _decode(data: bytes | memoryview, wav_format: WavFormat) -> npt.NDArray[np.float32]:
    """The samples as they are, those of the channels in turn.

    libsndfile gets them headerless: it parses nothing that a stranger wrote.
    """
    try:
        samples: npt.NDArray[np.float32] = soundfile.read(
            io.BytesIO(data),
            dtype="float32",
            format="RAW",
            subtype=_SUBTYPES[wav_format.codec, wav_format.bits],
            endian="LITTLE",
            samplerate=wav_format.sample_rate,
            channels=1,
        )[0]
    except soundfile.SoundFileError as exc:
        raise AudioError(f"the WAV file cannot be decoded: {exc}", reason="bad_wav") from exc
    return samples
