"""Bodies that are meant to hurt: whoever asks as one should is answered meanwhile, and memory stays where it was."""

import asyncio
import contextlib
import gzip
import time
from pathlib import Path

import httpx
import pytest

from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import HOST

pytestmark = [pytest.mark.anyio, pytest.mark.once]

ASK = b"POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
LARGE = 150_000_000
MAX_GROWTH = 50_000_000


@pytest.fixture(scope="module")
async def stack():
    """Slow headers and bodies are given two seconds."""
    environment = {"EDGEVOICE_BRIDGE_BODY_TIMEOUT_S": "2", "EDGEVOICE_BRIDGE_HEADER_TIMEOUT_S": "2"}
    async with Stack(StackSettings.scripted(environment=environment)) as running:
        yield running


@pytest.fixture
async def http(stack):
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as client:
        await client.post("/v1/ask", json={"text": "Hi"})
        yield client


def peak(stack):
    """The most memory that the bridge ever held [bytes]."""
    status = Path(f"/proc/{stack.pid(Part.BRIDGE)}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


async def send(stack, *parts, pause_s=0.0):
    """The status that is answered to what is sent, part by part, until there is an answer; None where there is none."""
    reader, writer = await asyncio.open_connection(HOST, stack.http_port)
    answer = asyncio.ensure_future(reader.readline())
    try:
        for part in parts:
            writer.write(part)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            if pause_s:
                await asyncio.wait({answer}, timeout=pause_s)
            if answer.done():
                break
        with contextlib.suppress(ConnectionError):
            line = await asyncio.wait_for(answer, 20)
            return int(line.split()[1]) if line else None
    finally:
        answer.cancel()
        writer.close()


async def waits(http, number=20):
    """How long callers who ask as one should wait [s]; all are answered."""
    waited = []
    for _ in range(number):
        began = time.monotonic()
        answer = await http.post("/v1/ask", json={"text": "Hi"})
        waited.append(time.monotonic() - began)
        assert answer.status_code == 200
        await asyncio.sleep(0.05)
    return waited


async def test_a_hundred_sockets_that_dribble(stack, http):
    headers = [bytes([byte]) for byte in ASK]
    body = [ASK + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 100]
    dribbling = [
        asyncio.create_task(send(stack, *(headers if number % 2 else body), pause_s=0.2)) for number in range(100)
    ]
    await asyncio.sleep(0.3)

    assert max(await waits(http)) < 2

    statuses = await asyncio.gather(*dribbling)
    assert set(statuses[::2]) == {408}
    assert set(statuses[1::2]) <= {408, None}


async def test_150_megabytes(stack, http):
    before = peak(stack)
    announced = ASK + b"Content-Length: %d\r\n\r\n" % LARGE
    chunked = ASK + b"Transfer-Encoding: chunked\r\n\r\n"
    pieces = [CHUNK] * (LARGE // 0x10000)
    uploads = [send(stack, announced, *pieces), send(stack, chunked, *pieces), send(stack, announced)]
    uploading = asyncio.gather(*uploads, *(send(stack, chunked, *pieces) for _ in range(3)))

    assert max(await waits(http)) < 2

    assert set(await uploading) == {413}
    assert peak(stack) - before < MAX_GROWTH


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (ASK + b"Content-Length: 10\r\n\r\nHi", 408),
        (ASK + b"Content-Length: 2\r\n\r\nHi and more", 200),
        (ASK + b"Content-Length: -1\r\n\r\n", 400),
        (ASK + b"Content-Length: 1e3\r\n\r\n", 400),
        (ASK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nHi!", 400),
        (ASK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFF\r\n", 400),
        (ASK + b"Transfer-Encoding: chunked\r\n\r\nno hexadecimal\r\n", 400),
        (ASK + b"Content-Length: 2\r\nX: " + b"x" * 100_000, 400),
    ],
)
async def test_lengths_that_are_not_true(stack, sent, status):
    assert await send(stack, sent) == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_a_body_that_would_have_to_be_unpacked(stack, http, encoding):
    before = peak(stack)
    bomb = gzip.compress(b"x" * 50_000_000)
    answer = await http.post(
        "/v1/ask", content=bomb, headers={"Content-Encoding": encoding, "Content-Type": "text/plain"}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert peak(stack) - before < MAX_GROWTH
