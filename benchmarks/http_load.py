"""Asks over HTTP."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from agent.stack.ports import HOST
from benchmarks.asking import PATIENCE_S, Block
from benchmarks.questions import Question

_CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class HttpLoad:
    """Connections that are kept, and next to nothing around them: a library would be what is measured."""

    def __init__(self, port: int, expected: bytes) -> None:
        self._port = port
        self._expected = expected

    async def ask(self, question: Question, *, in_flight: int, seconds: float) -> Block:
        """As the port says."""
        async with self._connections(question, in_flight) as lanes:
            block = Block(seconds, self._expected)
            for lane in lanes:
                lane.start(block)
            await asyncio.wait_for(asyncio.gather(*(lane.done for lane in lanes)), seconds + PATIENCE_S)
        return block

    @asynccontextmanager
    async def _connections(self, question: Question, count: int) -> AsyncIterator[list[_Connection]]:
        loop = asyncio.get_running_loop()
        lanes: list[_Connection] = []
        try:
            for _ in range(count):
                _, lane = await loop.create_connection(lambda: _Connection(question), HOST, self._port)
                lanes.append(lane)
            yield lanes
        finally:
            for lane in lanes:
                lane.close()


class _Connection(asyncio.Protocol):
    """One question at a time over HTTP/1.1; asyncio itself sets TCP_NODELAY."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._received = bytearray()
        self._asked_at = 0.0
        self._block: Block
        self._transport: asyncio.WriteTransport
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def start(self, block: Block) -> None:
        """Asks until the block's time is over; `done` then."""
        self._block = block
        self._ask_one()

    def close(self) -> None:
        """Hangs up."""
        self.done.cancel()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = bytes(self._received).partition(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        if not end or not length or len(body) < int(length[1]):
            return
        self._received.clear()
        if self._block.book(self._asked_at, body):
            self._ask_one()
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server hung up"))

    def _ask_one(self) -> None:
        body = self._question.encode(uuid.uuid4().hex.encode())
        head = b"POST /v1/ask HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        request = head % (HOST.encode(), len(body)) + body
        self._asked_at = perf_counter()
        self._transport.write(request)
