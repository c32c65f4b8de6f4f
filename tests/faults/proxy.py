"""A TCP proxy that does to a connection what networks do: hold, lose, delay, throttle, slice, freeze and cut it."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from typing_extensions import Self

from agent.stack.ports import HOST

_READ_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: what is closed with it sends RST


@dataclass
class Flow:
    """One direction of all connections. Every field may be set at any time, and holds at once."""

    held: bool = False
    """Nothing passes; it waits."""
    lost: bool = False
    """Nothing passes; it is thrown away."""
    delay_s: float = 0.0
    """How long each piece is kept [s]."""
    bytes_per_s: float | None = None
    """How fast it may be [bytes/s]."""
    slice_bytes: int = _READ_BYTES
    """The largest piece that passes at once [bytes]."""
    seen_bytes: int = 0
    """What came in, passed on or not [bytes]."""


@dataclass(eq=False)
class _Connection:
    ends: tuple[StreamWriter, StreamWriter]
    frozen: bool = False

    def reset(self) -> None:
        for end in self.ends:
            with suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


class Proxy:
    """Stands between whoever connects to `port` and a server of the loopback."""

    def __init__(self, target_port: int, *, port: int = 0) -> None:
        """`port` 0 takes a free one."""
        self._target_port = target_port
        self.port = port
        self.up = Flow()
        """Towards the server."""
        self.down = Flow()
        """From the server."""
        self.refusing = False
        """Whoever connects is thrown out at once."""
        self.accepted = 0
        """Connections so far."""
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port or None)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cut(self) -> None:
        """Resets every connection, as seen from both ends."""
        for connection in list(self._connections):
            connection.reset()
        await self._tell()

    async def freeze(self) -> None:
        """Every connection there is hangs for good, half-open: neither end is told. New ones are not concerned."""
        for connection in self._connections:
            connection.frozen = True
        await self._tell()

    async def release(self) -> None:
        """Both flows as they were at first; what was held passes. What is frozen stays so."""
        for flow in (self.up, self.down):
            flow.held = flow.lost = False
            flow.delay_s, flow.bytes_per_s, flow.slice_bytes = 0.0, None, _READ_BYTES
        self.refusing = False
        await self._tell()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns once `holds` of what the proxy has seen."""
        async with self._changed:
            await self._changed.wait_for(holds)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="proxy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection((writer, target_writer))
        if self.refusing:
            connection.reset()
            return
        self._connections.add(connection)
        self.accepted += 1
        await self._tell()
        try:
            await asyncio.gather(
                self._pump(connection, self.up, reader, target_writer),
                self._pump(connection, self.down, target_reader, writer),
            )
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def _pump(self, connection: _Connection, flow: Flow, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(flow.slice_bytes):
                flow.seen_bytes += len(data)
                await self._tell()
                await self.until(lambda: not (flow.held or connection.frozen))
                if flow.lost:
                    continue
                await asyncio.sleep(flow.delay_s + (len(data) / flow.bytes_per_s if flow.bytes_per_s else 0.0))
                writer.write(data)
                await writer.drain()
            await self.until(lambda: not (flow.held or connection.frozen))  # nor does an end of it pass
            if writer.can_write_eof():
                writer.write_eof()
