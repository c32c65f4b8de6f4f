"""The wire between a host and its worker: a small JSON header and a raw body, both of announced length."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_LENGTHS = struct.Struct("!II")
_MAX_BYTES = 1 << 30


class Kind(str, Enum):
    """What a frame says; the first eight go from host to worker, the others back."""

    LOAD = "load"
    CALL = "call"
    COUNT = "count"
    LISTEN = "listen"
    FEED = "feed"
    FINISH = "finish"
    CANCEL = "cancel"
    PING = "ping"
    READY = "ready"
    PIECE = "piece"
    DONE = "done"
    ERROR = "error"
    PONG = "pong"


@dataclass(frozen=True)
class Frame:
    """One message on the wire."""

    kind: Kind
    call: int = 0
    """The call it belongs to; 0 for the engine as a whole."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Small values, as JSON has them."""
    body: bytes = b""
    """Samples, as they lie in memory."""

    def encode(self) -> bytes:
        """The frame as bytes."""
        header = json.dumps([self.kind.value, self.call, self.fields], separators=(",", ":")).encode()
        return b"".join((_LENGTHS.pack(len(header), len(self.body)), header, self.body))


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None once the other side is gone, even in the middle of one."""
    try:
        header_bytes, body_bytes = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if header_bytes + body_bytes > _MAX_BYTES:
            raise ValueError(f"a frame of {header_bytes + body_bytes} bytes: the stream is out of step")
        header = await reader.readexactly(header_bytes)
        body = await reader.readexactly(body_bytes)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    kind, call, fields = json.loads(header)
    return Frame(Kind(kind), call, fields, body)
