"""The checksum of Ogg's pages (RFC 3533)."""

from __future__ import annotations

import zlib

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONES = 0xFFFF_FFFF


def ogg_checksum(page: bytes | bytearray) -> bytes:
    """As it stands in a page; `page` has zeros in its place.

    It is zlib's, with all bits the other way round, and without the inversions around it.
    """
    mirrored = zlib.crc32(page.translate(_MIRRORED), _ONES) ^ _ONES
    return mirrored.to_bytes(4, "little").translate(_MIRRORED)[::-1]
