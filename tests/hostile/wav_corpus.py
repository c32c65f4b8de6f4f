"""The corpus of WAV files: good, odd, broken and hostile ones, each with the one outcome it must have."""

import io
import math
import struct

import numpy as np
import soundfile

from tests.wav_files import (
    A_LAW,
    FLOAT,
    FORMATS,
    MU_LAW,
    PCM,
    REFUSED,
    chunk,
    encode,
    fmt,
    riff,
    silence,
    sine,
    wav,
)

HEARD = None
"""The outcome of what is decoded and audible."""
SHORT = sine(seconds=0.2)
STEREO = np.stack([SHORT, SHORT], axis=1)


def _streamed():
    """As stream writers leave them."""
    return {
        "a pipe of ffmpeg": wav(
            SHORT, data_size=0xFFFFFFFF, before=chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf60.16.100\0")
        ),
        "data size 0, samples follow": wav(SHORT, data_size=0),
        "data size 0x7FFFFFF0": wav(SHORT, data_size=0x7FFFFFF0),
        "riff size 0": riff(fmt(), chunk(b"data", encode(SHORT)), size=0),
        "riff size 0xFFFFFFFF": riff(fmt(), chunk(b"data", encode(SHORT)), size=0xFFFFFFFF),
        "cut off in the samples": wav(SHORT)[:-1_001],
        "an odd byte more": riff(fmt(), chunk(b"data", encode(SHORT) + b"\0")),
        "half a frame more": riff(fmt(channels=2), chunk(b"data", encode(STEREO) + b"\0\0\0")),
    }


def _formats():
    """Everything we read, plain or EXTENSIBLE, mono and stereo."""
    names = {PCM: "PCM", FLOAT: "float", A_LAW: "A-law", MU_LAW: "mu-law"}
    return {
        **{f"{names[tag]} {bits}": wav(SHORT, tag=tag, bits=bits) for tag, bits in FORMATS},
        **{f"extensible {names[tag]} {bits}": wav(SHORT, tag=tag, bits=bits, extensible=True) for tag, bits in FORMATS},
        "stereo": wav(STEREO),
        "8 kHz": wav(sine(8_000, seconds=0.2), rate=8_000),
        "192 kHz": wav(sine(192_000, seconds=0.2), rate=192_000),
    }


def _odd():
    """Strange, and readable."""
    with np.errstate(over="ignore", invalid="ignore"):
        wild = SHORT.copy()
        wild[::7], wild[1::7], wild[2::7], wild[3::7] = math.nan, math.inf, -math.inf, 1e30
        wild_files = {f"wild floats {bits}": wav(wild, tag=FLOAT, bits=bits) for bits in (32, 64)}
    return {
        **wild_files,
        "two data chunks": wav(SHORT, after=chunk(b"data", bytes(4_000))),
        "two fmt chunks": riff(fmt(), fmt(0x0011, bits=4), chunk(b"data", encode(SHORT))),
        "62 chunks before": riff(fmt(), chunk(b"LIST", b"") * 62, chunk(b"data", encode(SHORT))),
        "odd chunks before": riff(chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", b"x"), chunk(b"data", encode(SHORT))),
        "a fmt chunk of 1 MB": riff(chunk(b"fmt ", fmt()[8:] + bytes(1_000_000)), chunk(b"data", encode(SHORT))),
        "a megabyte behind": wav(SHORT, after=chunk(b"junk", bytes(1_000_000))),
        "a byte rate that lies": _lying_byte_rate(),
    }


def _lying_byte_rate():
    file = bytearray(wav(SHORT))
    file[28:32] = struct.pack("<I", 0xFFFFFFFF)
    return bytes(file)


def _containers():
    """Real files of other containers: libsndfile would decode them, and an hour of silence is a few kilobytes."""

    def written(container, subtype, *, seconds=1):
        file = io.BytesIO()
        soundfile.write(file, np.zeros(16_000 * seconds, dtype=np.int16), 16_000, format=container, subtype=subtype)
        return file.getvalue()

    return {
        "a FLAC of 10 minutes": written("FLAC", "PCM_16", seconds=600),
        "an Ogg": written("OGG", "VORBIS"),
        "an Opus": written("OGG", "OPUS"),
        "an MP3": written("MP3", "MPEG_LAYER_III"),
        "an AIFF": written("AIFF", "PCM_16"),
        "a CAF": written("CAF", "PCM_16"),
    }


def _nothing_to_hear():
    return {
        "silence": (wav(silence(seconds=1.0)), "no_speech", "silence"),
        "silence in mu-law": (wav(silence(seconds=1.0), tag=MU_LAW, bits=8), "no_speech", "silence"),
        "not a number at all": (wav(np.full(1_600, math.nan), tag=FLOAT, bits=32), "no_speech", "silence"),
        "no sample": (wav(silence(seconds=0)), "no_speech", "empty_audio"),
        "header only": (wav(SHORT)[:44], "no_speech", "empty_audio"),
        "one byte of a sample": (wav(SHORT)[:45], "no_speech", "empty_audio"),
    }


def _too_long():
    """What would play for long; none of it is decoded."""
    return {
        "61 s at 8 kHz": wav(np.zeros(8_000 * 61), rate=8_000, tag=MU_LAW, bits=8),
        "5 minutes of 8-bit": riff(fmt(rate=8_000, bits=8), chunk(b"data", bytes(8_000 * 300), size=0xFFFFFFFF)),
    }


CORPUS = {
    **{name: (file, HEARD, None) for name, file in {**_formats(), **_streamed(), **_odd()}.items()},
    **{name: (file, "unsupported_media", reason) for name, (file, reason) in REFUSED.items()},
    **{name: (file, "unsupported_media", "not_wav") for name, file in _containers().items()},
    **{f"cut at {end}": (wav(SHORT)[:end], "unsupported_media", "bad_wav") for end in (1, 4, 11, 12, 20, 36, 43)},
    **{name: (file, "audio_too_long", None) for name, file in _too_long().items()},
    **_nothing_to_hear(),
}
"""By name: the file, the code of its error or HEARD, and the error's reason."""
