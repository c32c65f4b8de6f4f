"""Sound as a caller wants it written down: in one piece, or in chunks of a size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.audio.opus import encode_opus, opus_rate
from agent.audio.sound import Audio
from agent.audio.wav import WAV_HEADER_BYTES, encode_wav
from agent.contract.terms import AudioFormat

__all__ = ["Encoded", "chunks", "encode"]

_SAMPLE_BYTES = 2
_OPUS_FIXED_BITS_S, _OPUS_BITS_A_SAMPLE = 4_000, 1.3
"""What libopus spends on speech where it may choose, about; each chunk corrects it for the next."""
_OPUS_FIXED_BYTES = 300
"""Headers, and what the first packets cost more."""
_OPUS_MARGIN = 0.9
_NEAR = 4
"""A cut is moved by up to one in so many of a chunk's samples, to where it is quiet."""
_QUIET_S = 0.01


@dataclass(frozen=True)
class Encoded:
    """Sound, written down."""

    data: bytes
    sample_rate: int
    """Samples a second [Hz]."""
    duration_ms: int
    """Length [ms]."""


def encode(audio: Audio, format: AudioFormat, *, sample_rate: int | None = None) -> Encoded:  # noqa: A002 - its name
    """`audio` at `sample_rate` [Hz] or its own; Opus takes the next one that it knows.

    Raises AudioError where this machine cannot write `format`.
    """
    return _write(_at_rate(audio, format, sample_rate), format)


def chunks(
    audio: Audio,
    format: AudioFormat,  # noqa: A002 - its name
    *,
    sample_rate: int | None = None,
    max_bytes: int | None = None,
) -> Iterator[Encoded]:
    """The same in pieces of at most `max_bytes`, which is at least MIN_CHUNK_BYTES, each playable by itself.

    One where it fits. Cut where it is quiet, if that is near; nothing is lost or doubled in between.
    """
    audio = _at_rate(audio, format, sample_rate)
    if max_bytes is None:
        yield _write(audio, format)
    elif format is AudioFormat.OPUS:
        yield from _opus_chunks(audio, max_bytes)
    else:
        header = WAV_HEADER_BYTES if format is AudioFormat.WAV else 0
        for piece in _pieces(audio, (max_bytes - header) // _SAMPLE_BYTES):
            yield _write(piece, format)


def _at_rate(audio: Audio, kind: AudioFormat, sample_rate: int | None) -> Audio:
    rate = sample_rate or audio.sample_rate
    return audio.resampled(opus_rate(rate) if kind is AudioFormat.OPUS else rate)


def _write(audio: Audio, kind: AudioFormat) -> Encoded:
    if kind is AudioFormat.OPUS:
        data = encode_opus(audio)
    elif kind is AudioFormat.WAV:
        data = encode_wav(audio)
    else:
        data = audio.pcm16()
    return Encoded(data, audio.sample_rate, round(audio.duration_s * 1_000))


def _pieces(audio: Audio, most: int) -> Iterator[Audio]:
    """At least one, none of more than `most` samples."""
    start = 0
    while True:
        piece = _beginning(_part(audio, start), most)
        yield piece
        start += len(piece.samples)
        if start >= len(audio.samples):
            return


def _opus_chunks(audio: Audio, max_bytes: int) -> Iterator[Encoded]:
    """How many samples go into so many bytes is known only afterwards: guess, try, and take fewer if it was wrong."""
    bytes_a_sample = (_OPUS_FIXED_BITS_S / audio.sample_rate + _OPUS_BITS_A_SAMPLE) / 8
    room = (max_bytes - _OPUS_FIXED_BYTES) * _OPUS_MARGIN
    start = 0
    while True:
        piece = _beginning(_part(audio, start), int(room / bytes_a_sample))
        made = _write(piece, AudioFormat.OPUS)
        while len(made.data) > max_bytes and len(piece.samples) > 1:
            piece = _beginning(piece, int(len(piece.samples) * _OPUS_MARGIN * max_bytes / len(made.data)))
            made = _write(piece, AudioFormat.OPUS)
        yield made
        start += len(piece.samples)
        if start >= len(audio.samples):
            return
        bytes_a_sample = max(len(made.data) - _OPUS_FIXED_BYTES, 1) / len(piece.samples)


def _beginning(audio: Audio, most: int) -> Audio:
    """All of it, or at most `most` samples, at least one, that end where it is quiet."""
    if len(audio.samples) <= most:
        return audio
    return _part(audio, 0, _quiet_cut(audio, max(1, most)))


def _quiet_cut(audio: Audio, end: int) -> int:
    """The middle of the quietest moment shortly before `end`, or `end` itself where there is no room to look."""
    window = round(audio.sample_rate * _QUIET_S)
    moments = end // _NEAR // window
    if not moments:
        return end
    near = audio.samples[end - moments * window : end].reshape(moments, window)
    loudness = np.square(near).sum(axis=1)
    after = int(loudness[::-1].argmin())  # the last of several that are equal
    return end - after * window - window // 2


def _part(audio: Audio, start: int, end: int | None = None) -> Audio:
    return Audio(audio.samples[start:end], audio.sample_rate)
