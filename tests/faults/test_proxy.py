"""The proxy does what the tests of faults believe it does."""

import asyncio
import time

import pytest

from agent.stack.ports import HOST
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.once]


class Echo:
    """Says back what it is told, a line at a time."""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._answer, HOST, 0)
        return self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *exc_info):
        self._server.close()

    @staticmethod
    async def _answer(reader, writer):
        try:
            while data := await reader.read(1_024):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def proxy():
    async with Echo() as port, Proxy(port) as proxy:
        yield proxy


@pytest.fixture
async def caller(proxy):
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    yield reader, writer
    writer.transport.abort()


async def said_back(caller, words):
    reader, writer = caller
    writer.write(words)
    return await reader.readexactly(len(words))


async def test_it_passes_both_ways(proxy, caller):
    assert await said_back(caller, b"hello") == b"hello"
    assert (proxy.up.seen_bytes, proxy.down.seen_bytes, proxy.accepted) == (5, 5, 1)


async def test_what_is_held_comes_later(proxy, caller):
    reader, writer = caller
    proxy.down.held = True
    writer.write(b"hello")
    await proxy.until(lambda: proxy.down.seen_bytes == 5)
    assert not reader._buffer
    await proxy.release()
    assert await reader.readexactly(5) == b"hello"


async def test_what_is_lost_never_comes(proxy, caller):
    reader, writer = caller
    proxy.down.lost = True
    writer.write(b"hello")
    await proxy.until(lambda: proxy.down.seen_bytes == 5)
    await proxy.release()
    assert await said_back((reader, writer), b"again") == b"again"


async def test_a_cut_is_a_reset(proxy, caller):
    assert await said_back(caller, b"hello") == b"hello"
    await proxy.cut()
    with pytest.raises(ConnectionResetError):
        await caller[0].read(1)


async def test_what_is_frozen_hangs_and_new_connections_work(proxy, caller):
    assert await said_back(caller, b"hello") == b"hello"
    await proxy.freeze()
    caller[1].write(b"again")
    await proxy.until(lambda: proxy.up.seen_bytes == 10)
    other = await asyncio.open_connection(HOST, proxy.port)
    assert await said_back(other, b"hello") == b"hello"
    other[1].transport.abort()
    assert not caller[0]._buffer
    assert not caller[0].at_eof()


async def test_who_is_refused_hears_it_at_once(proxy):
    proxy.refusing = True
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.transport.abort()


async def test_slices_delays_and_throttles_bring_it_whole(proxy, caller):
    proxy.up.slice_bytes, proxy.up.delay_s, proxy.down.bytes_per_s = 3, 0.005, 1_000
    began = time.monotonic()
    words = b"a little at a time, please"
    assert await said_back(caller, words) == words
    assert time.monotonic() - began >= len(words) / 1_000
