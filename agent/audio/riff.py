"""The RIFF check: which WAV files may be decoded, and where in them the samples lie."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from agent.contract.errors import ErrorCode
from agent.errors import AudioError

__all__ = [
    "MAX_CHANNELS",
    "MAX_CHUNKS",
    "MAX_RATE_HZ",
    "MIN_RATE_HZ",
    "Beginning",
    "Codec",
    "WavFile",
    "WavFormat",
    "cannot_begin",
    "check_length",
    "check_wav",
    "find_samples",
]

MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 192_000
MAX_CHANNELS = 2
MAX_CHUNKS = 64

_RIFF_BYTES = 12
_CHUNK = struct.Struct("<4sI")
_FMT = struct.Struct("<HHIIHH")

_EXTENSIBLE = 0xFFFE
_EXTENSIBLE_FMT_BYTES = 40
_SUBFORMAT_TAG = slice(24, 26)
_SUBFORMAT_REST = slice(26, 40)
_WAVE_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")


class Codec(IntEnum):
    """How a sample is written; each value is the format tag that stands for it in a file."""

    PCM = 1
    FLOAT = 3
    A_LAW = 6
    MU_LAW = 7


_BITS = {Codec.PCM: (8, 16, 24, 32), Codec.FLOAT: (32, 64), Codec.A_LAW: (8,), Codec.MU_LAW: (8,)}


@dataclass(frozen=True)
class WavFormat:
    """How the samples of a file are written."""

    codec: Codec
    channels: int
    sample_rate: int
    """Frames a second [Hz]."""
    bits: int
    """Of one sample."""

    @property
    def block_align(self) -> int:
        """Size of a frame, which holds a sample of each channel [bytes]."""
        return self.channels * self.bits // 8


@dataclass(frozen=True)
class Beginning:
    """Where in a file its samples begin."""

    format: WavFormat
    offset: int
    """Where the first sample lies [bytes]."""
    length: int | None
    """Size of the samples as declared [bytes]; None of a stream writer, which could not go back to fill it in."""


@dataclass(frozen=True)
class WavFile:
    """A file that may be decoded, by what is in it rather than by what its header promises."""

    format: WavFormat
    offset: int
    """Where the first sample lies [bytes]."""
    frames: int
    """Whole frames present."""

    @property
    def length(self) -> int:
        """Size of the samples [bytes]."""
        return self.frames * self.format.block_align

    @property
    def duration_s(self) -> float:
        """How long it plays [s]."""
        return self.frames / self.format.sample_rate


def check_wav(data: bytes, *, max_s: float = math.inf) -> WavFile:
    """What may be decoded of `data`, which may end early or be what a stream writer left.

    Raises AudioError, with a reason or for a clip longer than `max_s`; reads no sample and never more than MAX_CHUNKS
    chunks.
    """
    begins = find_samples(data)
    if begins is None:
        raise cannot_begin()
    length = len(data) - begins.offset  # a stream writer may leave a size that is more than will ever come
    if begins.length is not None:
        length = min(begins.length, length)
    wav = WavFile(begins.format, begins.offset, length // begins.format.block_align)
    check_length(wav.duration_s, max_s=max_s)
    return wav


def find_samples(data: bytes | bytearray) -> Beginning | None:
    """Where in a file that begins with `data` its samples do; None where that is not yet in it.

    Raises AudioError, with a reason; reads no sample and never more than MAX_CHUNKS chunks.
    """
    _check_container(bytes(data[:_RIFF_BYTES]))
    wav_format = None
    for name, start, size in _chunks(data):
        if name == b"fmt " and wav_format is None:
            fmt = bytes(data[start : start + min(size, _EXTENSIBLE_FMT_BYTES)])
            if len(fmt) < min(size, _EXTENSIBLE_FMT_BYTES):
                return None
            wav_format = _read_format(fmt)
        elif name == b"data":
            if wav_format is None:
                raise AudioError(
                    "the WAV file has samples before their format: write the fmt chunk first", reason="bad_wav"
                )
            return Beginning(wav_format, start, size or None)
    return None


def cannot_begin() -> AudioError:
    """What becomes of a file that ends before `find_samples` finds any."""
    return AudioError("the WAV file ends before its samples: send it whole", reason="bad_wav")


def check_length(duration_s: float, *, max_s: float) -> None:
    """Raises AudioError(audio_too_long) for a clip that lasts longer than `max_s`."""
    if duration_s > max_s:
        raise AudioError(
            f"the clip lasts {duration_s:.1f} s: send at most {max_s:g} s",
            code=ErrorCode.AUDIO_TOO_LONG,
            limit=max_s,
            actual=round(duration_s, 3),
        )


def _check_container(data: bytes) -> None:
    magic, form = data[:4], data[8:]
    if magic in {b"RIFX", b"RF64", b"BW64"}:
        raise AudioError(f"{magic.decode()} is not read: send a plain RIFF/WAVE file", reason="unsupported_format")
    if not b"RIFF".startswith(magic) or not b"WAVE".startswith(form):
        raise AudioError("not a WAV file: send RIFF/WAVE", reason="not_wav")


def _chunks(data: bytes | bytearray) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and declared size of each chunk, in order."""
    offset = _RIFF_BYTES
    for _ in range(MAX_CHUNKS):
        if offset + _CHUNK.size > len(data):
            return
        name, size = _CHUNK.unpack_from(data, offset)
        yield name, offset + _CHUNK.size, size
        offset += _CHUNK.size + size + size % 2
    if offset + _CHUNK.size <= len(data):
        raise AudioError(f"more than {MAX_CHUNKS} chunks before the samples", reason="too_many_chunks")


def _read_format(fmt: bytes) -> WavFormat:
    if len(fmt) < _FMT.size:
        raise AudioError("the WAV file's fmt chunk is cut short: send it whole", reason="bad_wav")
    tag, channels, rate, _, block_align, bits = _FMT.unpack_from(fmt)
    wav_format = WavFormat(_codec(tag, fmt), channels, rate, bits)
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels: send mono or stereo", reason="bad_channels")
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise AudioError(f"{rate} Hz: send {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz", reason="bad_sample_rate")
    if bits not in _BITS[wav_format.codec]:
        raise AudioError(f"{bits} bits a sample are not read: send 16-bit PCM", reason="unsupported_codec")
    if block_align != wav_format.block_align:
        raise AudioError(
            f"frames of {block_align} bytes contradict {channels} channels of {bits} bits: mend the fmt chunk",
            reason="bad_wav",
        )
    return wav_format


def _codec(tag: int, fmt: bytes) -> Codec:
    if tag == _EXTENSIBLE:
        if len(fmt) < _EXTENSIBLE_FMT_BYTES:
            raise AudioError("the WAV file's extensible fmt chunk is cut short: send it whole", reason="bad_wav")
        known = fmt[_SUBFORMAT_REST] == _WAVE_SUBFORMAT
        tag = int.from_bytes(fmt[_SUBFORMAT_TAG], "little") if known else _EXTENSIBLE
    try:
        return Codec(tag)
    except ValueError as exc:
        raise AudioError(
            f"WAV codec 0x{tag:04x} is not read: send PCM, float or G.711", reason="unsupported_codec"
        ) from exc
