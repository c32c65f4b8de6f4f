"""Opus in Ogg (RFC 3533, RFC 7845), taken apart into packets and put together as pages again."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from agent.ogg_checksum import ogg_checksum

_PAGE = struct.Struct("<4sBBqIII")
_MAGIC = b"OggS"
_CRC_AT = 22
MOST_SEGMENTS = 255
"""Pieces of up to 255 bytes that a page has room for."""
_FULL_SEGMENT = 255

_PER_MS = 48
_SILK_MS, _HYBRID_MS, _CELT_MS = (10.0, 20.0, 40.0, 60.0), (10.0, 20.0), (2.5, 5.0, 10.0, 20.0)
_FRAME_MS = _SILK_MS * 3 + _HYBRID_MS * 2 + _CELT_MS * 4
"""Length of a frame, by the first five bits of its packet [ms]."""
_MANY_FRAMES = 3


def packets(file: bytes) -> Iterator[bytes]:
    """The packets of a file with one stream, headers first. ValueError where it is none."""
    at, begun = 0, bytearray()
    while at < len(file):
        if file[at : at + 4] != _MAGIC or at + _PAGE.size >= len(file):
            raise ValueError("a page of Ogg is expected")
        sizes = file[at + _PAGE.size + 1 : at + _PAGE.size + 1 + file[at + _PAGE.size]]
        at += _PAGE.size + 1 + len(sizes)
        if len(file) < at + sum(sizes):
            raise ValueError("a page of Ogg is cut short")
        for size in sizes:
            begun += file[at : at + size]
            at += size
            if size < _FULL_SEGMENT:
                yield bytes(begun)
                begun.clear()


def page(
    content: Sequence[bytes], *, ends_at: int, serial: int, number: int, first: bool = False, last: bool = False
) -> bytes:
    """A page of whole packets, after which the stream is `ends_at` samples long. ValueError where it has no room."""
    segments = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in content)
    if len(segments) > MOST_SEGMENTS:
        raise ValueError("too much for one page")
    head = _PAGE.pack(_MAGIC, 0, 2 * first | 4 * last, ends_at, serial, number, 0)
    whole = b"".join((head, bytes([len(segments)]), segments, *content))
    return whole[:_CRC_AT] + ogg_checksum(whole) + whole[_CRC_AT + 4 :]


def segments_of(packet: bytes) -> int:
    """How many of the 255 segments of a page `packet` takes."""
    return len(packet) // _FULL_SEGMENT + 1


def samples_of(packet: bytes) -> int:
    """Length of the sound in a packet of Opus, at 48 kHz. ValueError where it is none."""
    if not packet:
        raise ValueError("a packet of Opus is empty")
    frames = (1, 2, 2, _MANY_FRAMES)[packet[0] & 3]
    if frames == _MANY_FRAMES:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    return int(frames * _FRAME_MS[packet[0] >> 3] * _PER_MS)
