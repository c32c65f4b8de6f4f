"""A bridge of three workers on a real stack: whichever is asked is right, and one that dies takes nobody along."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings

pytestmark = [pytest.mark.anyio, pytest.mark.once]

WORKERS = 3
LATER = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A language model that takes a second for four words."""
    slow = EngineSettings(name="scripted", options={"answer": "one two three four", "piece_delay_s": 0.25})
    settings = StackSettings.scripted(llm=slow, environment={"EDGEVOICE_BRIDGE_WORKERS": str(WORKERS)})
    async with Stack(settings) as running:
        yield running


def workers(stack):
    """The processes that serve."""
    parent = stack.pid(Part.BRIDGE)
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split()]


def is_running(pid):
    """Whether there is such a process; who has ended and is not buried yet runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@asynccontextmanager
async def caller_of(stack, pid):
    """An HTTP client that is connected to the worker `pid`: the others are held until the connection is taken."""
    others = [other for other in workers(stack) if other != pid]
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as http:
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            while (await http.get("/readyz")).status_code != 200:  # it may have begun just now
                await asyncio.sleep(0.02)
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        yield http


@asynccontextmanager
async def callers(stack):
    """One of each worker. Each asks one thing at a time: for a second one it would connect to any worker."""
    one, two, three = workers(stack)
    async with caller_of(stack, one) as first, caller_of(stack, two) as second, caller_of(stack, three) as third:
        yield first, second, third


async def until(http, request_id, state):
    """What became of a request, once it is in `state`."""
    while True:
        answer = await http.get(f"/v1/requests/{request_id}")
        if answer.status_code == 200 and answer.json()["state"] == state:
            return answer.json()
        await asyncio.sleep(0.02)


async def test_the_same_key_at_two_workers_is_one_request(stack):
    async with callers(stack) as (first, second, third):
        asked = {"id": "both", "text": "Hi"}
        answers = await asyncio.gather(*[http.post("/v1/ask", json=asked) for http in (first, second)])
        assert answers[0].json()["text"] == "one two three four"
        assert answers[0].json() == answers[1].json()
        conflict = await third.post("/v1/ask", json={"id": "both", "text": "Ho"})
        assert (conflict.status_code, conflict.json()["code"]) == (409, "conflict")


async def test_a_conflict_at_one_worker_is_none_at_another(stack):
    async with callers(stack) as (first, second, _):
        asking = asyncio.create_task(first.post("/v1/ask", json={"id": "mine", "text": "Hi"}))
        await until(second, "mine", "running")
        assert (await second.post("/v1/ask", json={"id": "mine", "text": "Ho"})).status_code == 409
        assert (await asking).json()["text"] == "one two three four"


async def test_any_worker_knows_of_a_request(stack):
    async with callers(stack) as (first, second, third):
        assert (await first.post("/v1/ask", json={"id": "later", "text": "Hi"}, headers=LATER)).status_code == 202
        assert (await second.get("/v1/requests/later")).json()["state"] == "running"
        told = [await until(http, "later", "done") for http in (first, second, third)]
        assert told[0] == told[1] == told[2]
        assert told[0]["reply"]["text"] == "one two three four"


async def test_any_worker_can_stop_a_request(stack):
    async with callers(stack) as (first, second, _):
        asking = asyncio.create_task(first.post("/v1/ask", json={"id": "unwanted", "text": "Hi"}))
        await until(second, "unwanted", "running")
        assert (await second.delete("/v1/requests/unwanted")).status_code in {200, 202}
        answer = await asking
        assert (answer.status_code, answer.json()["code"]) == (499, "cancelled")
        assert (await until(second, "unwanted", "done"))["reply"]["status"] == "cancelled"


async def test_hanging_up_stops_nothing_that_is_waited_for_at_another_worker(stack):
    async with callers(stack) as (first, second, third), caller_of(stack, workers(stack)[0]) as fourth:
        asked = {"id": "shared", "text": "Hi"}
        staying = asyncio.create_task(second.post("/v1/ask", json=asked))
        await until(third, "shared", "running")
        leaving = asyncio.create_task(first.post("/v1/ask", json=asked))
        alone = asyncio.create_task(fourth.post("/v1/ask", json={"id": "alone", "text": "Hi"}))
        await until(third, "alone", "running")
        for task in (leaving, alone):
            task.cancel()
        assert (await until(third, "alone", "done"))["reply"]["status"] == "cancelled"
        assert (await staying).json()["text"] == "one two three four"


async def test_a_killed_worker_takes_only_its_own_callers_along(stack):
    doomed = workers(stack)[0]
    async with callers(stack) as (first, second, third):
        lost = asyncio.create_task(first.post("/v1/ask", json={"id": "lost", "text": "Hi"}))
        kept = asyncio.create_task(second.post("/v1/ask", json={"id": "kept", "text": "Hi"}))
        for request_id in ("lost", "kept"):
            await until(third, request_id, "running")
        os.kill(doomed, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await lost
        assert (await kept).json()["text"] == "one two three four"
        again = await third.post("/v1/ask", json={"id": "lost", "text": "Hi"})
        assert again.json()["text"] == "one two three four"
    while len(workers(stack)) < WORKERS or doomed in workers(stack):
        await asyncio.sleep(0.02)
    async with caller_of(stack, workers(stack)[-1]) as http:
        assert (await http.get("/v1/requests/lost")).json()["reply"]["text"] == "one two three four"


async def test_a_request_outlives_the_bridge(stack):
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as http:
        await http.post("/v1/ask", json={"id": "outlived", "text": "Hi"}, headers=LATER)
    await stack.kill(Part.BRIDGE)
    await stack.start(Part.BRIDGE)
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as http:
        assert (await until(http, "outlived", "done"))["reply"]["text"] == "one two three four"


async def test_workers_end_with_their_parent(stack):
    orphans = workers(stack)
    os.kill(stack.pid(Part.BRIDGE), signal.SIGKILL)
    while any(is_running(pid) for pid in orphans):
        await asyncio.sleep(0.02)
    await stack.restart(Part.BRIDGE)


async def test_who_waits_when_it_is_told_to_stop_still_gets_an_answer(stack):
    async with callers(stack) as (first, second, third):
        asking = [
            asyncio.create_task(http.post("/v1/ask", json={"id": request_id, "text": "Hi"}))
            for http, request_id in ((first, "last1"), (second, "last2"))
        ]
        for request_id in ("last1", "last2"):
            await until(third, request_id, "running")
        stopping = asyncio.create_task(stack.stop(Part.BRIDGE))
        assert [answer.json()["text"] for answer in await asyncio.gather(*asking)] == ["one two three four"] * 2
        await stopping
    await stack.start(Part.BRIDGE)


async def test_eight_of_them_begin_and_answer():
    """Row 2.15"""
    settings = StackSettings.scripted(environment={"EDGEVOICE_BRIDGE_WORKERS": "8"})
    async with Stack(settings) as eight:
        pids = workers(eight)
        assert len(pids) == 8
        for pid in (pids[0], pids[-1]):
            async with caller_of(eight, pid) as http:
                assert (await http.post("/v1/ask", json={"text": "Hi"})).json()["text"] == "You said: Hi"
