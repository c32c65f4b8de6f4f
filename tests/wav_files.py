"""WAV files built byte by byte: good ones of every kind we read, and the broken and hostile ones we must refuse."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""One dimension for mono; a column a channel otherwise."""

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
WAVE_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")


def sine(rate: int = 16_000, *, hz: float = 440.0, seconds: float = 0.1, level: float = 0.5) -> Samples:
    """A tone that peaks at `level`."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def silence(rate: int = 16_000, *, seconds: float = 0.1) -> Samples:
    return np.zeros(round(rate * seconds))


def chunk(name: bytes, body: bytes, *, size: int | None = None) -> bytes:
    """One RIFF chunk, padded to even; `size` lies about its length."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes, magic: bytes = b"RIFF", form: bytes = b"WAVE", size: int | None = None) -> bytes:
    body = form + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def fmt(
    tag: int = PCM,
    *,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    block_align: int | None = None,
    subformat: bytes | None = None,
) -> bytes:
    """A fmt chunk; with `subformat`, or as EXTENSIBLE where that is all there is to say."""
    align = channels * bits // 8 if block_align is None else block_align
    head = (channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    if subformat is None:
        return chunk(b"fmt ", struct.pack("<HHIIHH", tag, *head))
    extension = struct.pack("<HHI", 22, bits, 0) + subformat
    return chunk(b"fmt ", struct.pack("<HHIIHH", EXTENSIBLE, *head) + extension)


def subformat(tag: int) -> bytes:
    """The GUID that stands for `tag` in an EXTENSIBLE file."""
    return struct.pack("<H", tag) + WAVE_SUBFORMAT


def wav(
    samples: Samples,
    *,
    rate: int = 16_000,
    tag: int = PCM,
    bits: int = 16,
    extensible: bool = False,
    data_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A whole file; `data_size` is what a stream writer leaves in place of the true one."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    guid = subformat(tag) if extensible else None
    format_chunk = fmt(tag, channels=channels, rate=rate, bits=bits, subformat=guid)
    return riff(format_chunk, before, chunk(b"data", encode(samples, tag, bits), size=data_size), after)


def encode(samples: Samples, tag: int = PCM, bits: int = 16) -> bytes:
    """Samples within [-1, 1] as they are written in a file, channels interleaved."""
    return _ENCODERS[tag, bits](samples.reshape(-1))


def _integers(bits: int) -> Callable[[Samples], bytes]:
    scale = 2 ** (bits - 1)

    def write(samples: Samples) -> bytes:
        values = np.clip(np.rint(samples * scale), -scale, scale - 1).astype("<i8")
        if bits == 8:
            values += 128
        written: npt.NDArray[np.uint8] = values.view(np.uint8).reshape(-1, values.itemsize)[:, : bits // 8]
        return written.tobytes()

    return write


def _mu_law(code: int) -> int:
    code ^= 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_law(code: int) -> int:
    code ^= 0x55
    exponent = code >> 4 & 7
    mantissa = ((code & 0x0F) << 4) + (8 if exponent == 0 else 0x108)
    magnitude = mantissa << max(0, exponent - 1)
    return magnitude if code & 0x80 else -magnitude


G711 = {
    A_LAW: np.array([_a_law(code) for code in range(256)]) / 32_768,
    MU_LAW: np.array([_mu_law(code) for code in range(256)]) / 32_768,
}
"""What each of the 256 codes stands for, from the formulas of the standard."""


def _nearest(table: Samples) -> Callable[[Samples], bytes]:
    return lambda samples: bytes(np.abs(samples[:, None] - table).argmin(axis=1).astype(np.uint8))


_ENCODERS: dict[tuple[int, int], Callable[[Samples], bytes]] = {
    (PCM, 8): _integers(8),
    (PCM, 16): _integers(16),
    (PCM, 24): _integers(24),
    (PCM, 32): _integers(32),
    (FLOAT, 32): lambda samples: samples.astype("<f4").tobytes(),
    (FLOAT, 64): lambda samples: samples.astype("<f8").tobytes(),
    (A_LAW, 8): _nearest(G711[A_LAW]),
    (MU_LAW, 8): _nearest(G711[MU_LAW]),
}

FORMATS = tuple(_ENCODERS)
"""Every (tag, bits) that may be decoded."""

_DATA = chunk(b"data", bytes(320))

REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "bad_wav"),
    "text": (b"What time is it?", "not_wav"),
    "json": (b'{"text":"hello there"}', "not_wav"),
    "flac": (b"fLaC\0\0\0\x22" + bytes(64), "not_wav"),
    "ogg": (b"OggS\0\x02" + bytes(64), "not_wav"),
    "mp3 with tag": (b"ID3\x04" + bytes(64), "not_wav"),
    "mp3 bare": (b"\xff\xfb\x90\x64" + bytes(64), "not_wav"),
    "wave64": (b"riff" + bytes(64), "not_wav"),
    "avi": (riff(_DATA, form=b"AVI "), "not_wav"),
    "big endian": (riff(fmt(), _DATA, magic=b"RIFX"), "unsupported_format"),
    "rf64 of 2^62 bytes": (
        riff(
            chunk(b"ds64", struct.pack("<QQQI", 2**62, 2**62, 2**61, 0)),
            fmt(),
            chunk(b"data", bytes(320), size=0xFFFFFFFF),
            magic=b"RF64",
            size=0xFFFFFFFF,
        ),
        "unsupported_format",
    ),
    "bw64": (riff(fmt(), _DATA, magic=b"BW64"), "unsupported_format"),
    **{f"{rate} Hz": (riff(fmt(rate=rate), _DATA), "bad_sample_rate") for rate in (0, 1, 7_999, 192_001, 2**32 - 1)},
    **{f"{n} channels": (riff(fmt(channels=n), _DATA), "bad_channels") for n in (0, 3, 6, 256, 65_535)},
    "MS ADPCM": (riff(fmt(0x0002, bits=4), _DATA), "unsupported_codec"),
    "IMA ADPCM": (riff(fmt(0x0011, bits=4), _DATA), "unsupported_codec"),
    "G.726": (riff(fmt(0x0045, bits=4), _DATA), "unsupported_codec"),
    "MP3 in WAV": (riff(fmt(0x0055, bits=0, block_align=1), _DATA), "unsupported_codec"),
    "no codec": (riff(fmt(0), _DATA), "unsupported_codec"),
    "12 bits": (riff(fmt(bits=12, block_align=2), _DATA), "unsupported_codec"),
    "64-bit integers": (riff(fmt(bits=64), _DATA), "unsupported_codec"),
    "16-bit float": (riff(fmt(FLOAT, bits=16), _DATA), "unsupported_codec"),
    "16-bit G.711": (riff(fmt(MU_LAW, bits=16), _DATA), "unsupported_codec"),
    "ADPCM in extensible": (riff(fmt(bits=4, subformat=subformat(0x0011)), _DATA), "unsupported_codec"),
    "extensible in extensible": (riff(fmt(subformat=subformat(EXTENSIBLE)), _DATA), "unsupported_codec"),
    "foreign subformat": (riff(fmt(subformat=struct.pack("<H", PCM) + bytes(14)), _DATA), "unsupported_codec"),
    "extensible cut short": (riff(fmt(EXTENSIBLE), _DATA), "bad_wav"),
    "fmt cut short": (riff(chunk(b"fmt ", bytes(14)), _DATA), "bad_wav"),
    "frames of 0 bytes": (riff(fmt(block_align=0), _DATA), "bad_wav"),
    "frames of 3 bytes": (riff(fmt(block_align=3), _DATA), "bad_wav"),
    "no fmt": (riff(_DATA), "bad_wav"),
    "fmt after data": (riff(_DATA, fmt()), "bad_wav"),
    "no data": (riff(fmt()), "bad_wav"),
    "no chunks": (riff(), "bad_wav"),
    "chunk past the end": (riff(fmt(), chunk(b"LIST", b"", size=0xFFFFFFFF), _DATA), "bad_wav"),
    "100,000 empty chunks": (riff(chunk(b"LIST", b"") * 100_000, fmt(), _DATA), "too_many_chunks"),
    "one chunk too many": (riff(fmt(), chunk(b"LIST", b"") * 63, _DATA), "too_many_chunks"),
}
"""By name: a file that must be refused as `unsupported_media`, and the reason it must be refused for."""
