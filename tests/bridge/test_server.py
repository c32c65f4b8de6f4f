"""What only a real server shows: bodies as they arrive, and callers that go away."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.stack.ports import free_port
from bridge.server import max_connections
from tests.bridge.conftest import serving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ASK = b"POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status_line, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status_line.split()[1]), headers, json.loads(await reader.readexactly(int(headers["content-length"])))


async def talk(port: int, *parts: bytes) -> tuple[int, dict[str, str], Any]:
    """The answer to what is sent; the connection is closed after it."""
    reader, writer = await connect(port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await answered(reader)
    finally:
        writer.close()


async def test_an_announced_body_that_is_too_large_is_not_waited_for(port, agent):
    status, headers, problem = await talk(port, ASK + b"Content-Length: 999999999\r\n\r\n")
    assert (status, problem["code"], problem["limit"]) == (413, "payload_too_large", 100_000)
    assert headers["connection"] == "close"
    assert not agent.asked


async def test_a_chunked_body_is_counted(port, agent):
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    status, _, problem = await talk(port, ASK + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 7)
    assert (status, problem["code"]) == (413, "payload_too_large")
    assert not agent.asked


async def test_a_chunked_body_within_the_limit(port):
    status, _, reply = await talk(
        port, ASK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nHi\r\n", b"3\r\n Ho\r\n0\r\n\r\n"
    )
    assert (status, reply["text"]) == (200, "Hi Ho!")


async def test_a_caller_that_sends_on_still_reads_why_it_was_refused(port):
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/v1/ask", content=b"x" * 5_000_000)
    assert answer.status_code == 413


async def test_a_body_shorter_than_announced_times_out(port, agent):
    status, _, problem = await talk(port, ASK + b"Content-Length: 10\r\n\r\nHi")
    assert (status, problem["code"], problem["reason"]) == (408, "expired", "slow_body")
    assert not agent.asked


async def test_a_body_longer_than_announced_is_cut_where_it_said(port, agent):
    status, _, reply = await talk(port, ASK + b"Content-Length: 2\r\nConnection: close\r\n\r\nHi and more")
    assert (status, reply["text"]) == (200, "Hi!")
    assert [asked.text for asked in agent.asked] == ["Hi"]


async def test_hanging_up_cancels_the_run(port, agent):
    agent.answers.clear()
    _, writer = await connect(port)
    writer.write(ASK + b"Idempotency-Key: gone\r\nContent-Length: 2\r\n\r\nHi")
    await agent.was_asked.acquire()
    writer.close()
    assert await agent.cancelled.get() == "gone"


async def test_hanging_up_cancels_nothing_that_another_caller_waits_for(port, agent):
    agent.answers.clear()
    question = ASK + b"Idempotency-Key: shared\r\nContent-Length: 2\r\n\r\nHi"
    (reader, staying), (_, going) = await connect(port), await connect(port)
    for writer in (staying, going):
        writer.write(question)
        await agent.was_asked.acquire()
    going.close()
    _, third = await connect(port)  # whose cancelling shows that the other one's hang-up was seen before
    third.write(question.replace(b"shared", b"third"))
    await agent.was_asked.acquire()
    third.close()
    assert await agent.cancelled.get() == "third"
    agent.answers.set()
    status, _, reply = await answered(reader)
    assert (status, reply["id"]) == (200, "shared")
    assert agent.cancelled.empty()
    staying.close()


async def test_hanging_up_in_the_middle_of_a_body(port, agent):
    _, writer = await connect(port)
    writer.write(ASK + b"Content-Length: 10\r\n\r\nHi")
    await writer.drain()
    writer.close()
    status, _, reply = await talk(port, ASK + b"Content-Length: 2\r\n\r\nHo")
    assert (status, reply["text"]) == (200, "Ho!")
    assert len(agent.asked) == 1


@pytest.mark.parametrize("sent", [b"Content-Length: 2\r\n\r\nHi", b"Content-Length: 10\r\n\r\nHi"])
async def test_who_still_waits_when_the_server_stops_is_told_so(settings, agent, sent, caplog):
    agent.answers.clear()
    patient = settings.model_copy(update={"body_timeout_s": 60})
    async with serving(patient, agent, grace_s=0) as (server, port):
        reader, writer = await connect(port)
        writer.write(ASK + sent)
        while not server.server_state.tasks:
            await asyncio.sleep(0.01)
        server.should_exit = True
        status, headers, problem = await answered(reader)
        writer.close()
    assert (status, problem["code"], problem["reason"]) == (503, "busy", "stopping")
    assert headers["retry-after"] == "1"
    assert "Traceback" not in caplog.text
    assert agent.cancelled.empty()


async def test_headers_that_do_not_arrive_are_not_waited_for(settings, agent):
    hasty = settings.model_copy(update={"header_timeout_s": 0.2})
    async with serving(hasty, agent) as (_, port):
        slow = [await connect(port) for _ in range(100)]
        for _, writer in slow:
            writer.write(ASK)
        silent, idle = await connect(port)
        status, _, reply = await talk(port, ASK + b"Content-Length: 2\r\n\r\nHi")
        assert (status, reply["text"]) == (200, "Hi!")
        for reader, writer in slow:
            status, headers, problem = await answered(reader)
            assert (status, problem["code"], problem["reason"]) == (408, "expired", "slow_headers")
            assert headers["connection"] == "close"
            writer.close()
        assert await silent.read() == b""
        idle.close()


async def test_a_second_request_on_a_connection_must_come_in_time_too(settings, agent):
    hasty = settings.model_copy(update={"header_timeout_s": 0.2})
    async with serving(hasty, agent) as (_, port):
        reader, writer = await connect(port)
        writer.write(ASK + b"Content-Length: 2\r\n\r\nHi")
        assert (await answered(reader))[0] == 200
        writer.write(ASK)
        assert (await answered(reader))[0] == 408
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"Hello\r\n\r\n",
        ASK + b"Content-Length: two\r\n\r\nHi",
        ASK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nHi",
        ASK + b"X: " + b"x" * 20_000,
    ],
)
async def test_what_is_no_http_is_a_problem_too(port, agent, sent):
    status, headers, problem = await talk(port, sent)
    assert (status, problem["code"], headers["content-type"]) == (400, "bad_request", "application/problem+json")
    assert not agent.asked


async def test_who_is_one_too_many_is_told_when_to_try_again(settings, agent):
    async with serving(settings, agent) as (_, port):
        idle = [await connect(port) for _ in range(max_connections(settings))]
        status, headers, problem = await talk(port, ASK + b"Content-Length: 2\r\n\r\nHi")
        assert (status, problem["code"], problem["reason"]) == (503, "busy", "connections")
        assert headers["retry-after"] == "1"
        for _, writer in idle:
            writer.close()


async def test_uvicorn_itself_can_serve_it(tmp_path):
    """Row 2.8"""
    port = free_port()
    server = [sys.executable, "-m", "uvicorn", "bridge.app:app", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "EDGEVOICE_BRIDGE_MQTT__PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*server, env=environment, cwd=tmp_path, stderr=PIPE)
    try:
        assert process.stderr
        while b"running on" not in (line := await process.stderr.readline()):
            assert line, "it ended"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/docs")).status_code == 200
    finally:
        process.terminate()
        await process.communicate()
