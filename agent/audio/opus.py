"""Ogg Opus out: libsndfile encodes, and the file is rid of the half kilobyte of padding that it leaves in its tags."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile

from agent.audio.sound import Audio
from agent.contract.terms import Stage
from agent.errors import AudioError
from agent.ogg_checksum import ogg_checksum

__all__ = ["OPUS_RATES", "encode_opus", "opus_rate"]

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Samples a second that Opus takes [Hz]."""

_PAGE = struct.Struct("<4sBBqIIIB")
_CHECKSUM = slice(22, 26)
_TAGS = b"OpusTags"
_NO_COMMENTS = bytes(4)
_MAX_LACING = 254  # a packet of more would need a second value in the page's table


def opus_rate(sample_rate: int) -> int:
    """The lowest rate of Opus that keeps all of `sample_rate`, or its highest [Hz]."""
    return next((rate for rate in OPUS_RATES if rate >= sample_rate), OPUS_RATES[-1])


def encode_opus(audio: Audio) -> bytes:
    """`audio`, whose rate is one of OPUS_RATES, as a file of its own; of no samples, that of one silent sample.

    Raises AudioError where libsndfile was built without Opus.
    """
    samples = audio.shorts() if len(audio.samples) else np.zeros(1, np.int16)
    file = io.BytesIO()
    try:
        soundfile.write(file, samples, audio.sample_rate, format="OGG", subtype="OPUS")
    except (soundfile.SoundFileError, ValueError) as exc:  # ValueError: of a build that has never heard of Opus
        message = f"this machine cannot write Opus: ask for wav ({exc})"
        raise AudioError(message, stage=Stage.TTS, field="tts.format", reason="no_opus") from exc
    return _without_padding(file.getvalue())


def _without_padding(file: bytes) -> bytes:
    """The same with tags no longer than what they say; where they are not as expected, as it is."""
    start = _page_end(file, 0)
    end = _page_end(file, start)
    tags = file[start + _PAGE.size + file[start + _PAGE.size - 1] : end]
    needed = len(_TAGS) + 4 + int.from_bytes(tags[len(_TAGS) : len(_TAGS) + 4], "little") + len(_NO_COMMENTS)
    if not (tags.startswith(_TAGS) and tags[:needed].endswith(_NO_COMMENTS) and needed <= _MAX_LACING):
        return file
    page = bytearray(file[start : start + _PAGE.size - 1] + bytes((1, needed)) + tags[:needed])
    page[_CHECKSUM] = bytes(4)
    page[_CHECKSUM] = ogg_checksum(page)
    return b"".join((file[:start], page, file[end:]))


def _page_end(file: bytes, start: int) -> int:
    """Where the Ogg page ends that begins at `start`."""
    segments = file[start + _PAGE.size - 1]
    sizes_end = start + _PAGE.size + segments
    return sizes_end + sum(file[start + _PAGE.size : sizes_end])
