"""Processes that are killed in the middle of the work, and what it costs: never the agent, never an answer."""

import asyncio
import json
import os
import signal
import uuid
from pathlib import Path

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from agent.title import words_of
from tests.callers import PATIENCE_S, mqtt_caller

pytestmark = [pytest.mark.anyio, pytest.mark.once]

STATE = "edgevoice/v1/orin/state"


@pytest.fixture
async def stack():
    """A language model that takes two seconds for four words."""
    slow = EngineSettings(name="scripted", options={"answer": "one two three four", "piece_delay_s": 0.5})
    async with Stack(StackSettings.scripted(llm=slow, parts=(Part.BROKER, Part.AGENT))) as running:
        yield running


def worker_pid(agent_pid, stage):
    """The process of the engine of `stage`: a child of the agent that says so."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = words_of((folder / "cmdline").read_bytes())
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
        if parent == agent_pid and words[:2] == ["engine", stage]:
            return int(folder.name)
    raise AssertionError(f"no worker for {stage} below {agent_pid}")


async def begun(caller, number=1):
    """The ids of requests whose answers are being written."""
    ids = [uuid.uuid4().hex for _ in range(number)]
    for request_id in ids:
        caller.publish(caller.request(), {"id": request_id, "text": "Hi"})
    while json.loads((await asyncio.to_thread(caller.next, STATE)).payload)["running"] != number:
        pass
    return ids


def watching(stack):
    return mqtt_caller(stack, filters=["edgevoice/v1/orin/reply/demo/#", STATE])


async def test_an_engine_killed_in_the_middle_of_a_run_costs_the_run_a_retry(stack):
    with watching(stack) as caller:
        [request_id] = await begun(caller)
        os.kill(worker_pid(stack.pid(Part.AGENT), "llm"), signal.SIGKILL)
        reply = await asyncio.to_thread(caller.reply, request_id)
        assert (reply["status"], reply["text"]) == ("ok", "one two three four")


async def test_an_engine_killed_again_costs_the_run_a_typed_error_and_the_agent_nothing(stack):
    with watching(stack) as caller:
        [request_id] = await begun(caller)
        first = worker_pid(stack.pid(Part.AGENT), "llm")
        os.kill(first, signal.SIGKILL)
        while (second := await _next_worker(stack, first)) is None:
            pass
        while not json.loads((await asyncio.to_thread(caller.next, STATE)).payload)["engines"]["llm"]["restarts"]:
            pass
        os.kill(second, signal.SIGKILL)
        reply = await asyncio.to_thread(caller.reply, request_id)
        assert (reply["status"], reply["error"]["code"], reply["error"]["retriable"]) == ("error", "llm_failed", True)
        assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"


async def _next_worker(stack, former):
    await asyncio.sleep(0.02)
    try:
        pid = worker_pid(stack.pid(Part.AGENT), "llm")
    except AssertionError:
        return None
    return pid if pid != former else None


async def test_an_agent_killed_in_the_middle_of_a_run_answers_after_its_restart(stack):
    with watching(stack) as caller:
        ids = await begun(caller, 3)
        await stack.kill(Part.AGENT)
        await stack.start(Part.AGENT)
        replies = [json.loads((await asyncio.to_thread(_terminal, caller)).payload) for _ in ids]
        assert {reply["id"] for reply in replies} == set(ids)
        assert all(reply["text"] == "one two three four" for reply in replies)
        again = await asyncio.to_thread(caller.ask, id=ids[0], text="Hi")
        assert again["replayed"]


def _terminal(caller):
    while True:
        message = caller.next()
        if message.topic != STATE:
            return message


async def test_a_reply_that_the_broker_never_got_is_sent_after_a_restart(stack):
    with watching(stack) as caller:
        [request_id] = await begun(caller)
        await stack.stop(Part.BROKER)
        await _written_down(stack, "answered in")
        await stack.kill(Part.AGENT)
        await stack.start(Part.BROKER)
        assert await asyncio.to_thread(caller.subscribed.wait, PATIENCE_S)
        await stack.start(Part.AGENT)
        assert (await asyncio.to_thread(caller.reply, request_id))["text"] == "one two three four"


async def _written_down(stack, line):
    while line not in stack.log(Part.AGENT).read_text():
        await asyncio.sleep(0.05)


async def test_a_request_made_while_the_agent_is_away_is_answered_when_it_is_back(stack):
    with watching(stack) as caller:
        await stack.kill(Part.AGENT)
        request_id = uuid.uuid4().hex
        caller.publish(caller.request(), {"id": request_id, "text": "Hi"})
        await stack.start(Part.AGENT)
        assert (await asyncio.to_thread(caller.reply, request_id))["status"] == "ok"


async def test_the_reply_outlives_a_restart_of_the_broker(stack):
    with watching(stack) as caller:
        [request_id] = await begun(caller)
        await stack.stop(Part.BROKER)
        await stack.start(Part.BROKER)
        assert await asyncio.to_thread(caller.subscribed.wait, PATIENCE_S)
        caller.publish(caller.request(), {"id": request_id, "text": "Hi"})  # as every caller may, and ours does
        reply = await asyncio.to_thread(caller.reply, request_id)
        assert reply["text"] == "one two three four"


async def test_nothing_is_left_behind(stack):
    agent = stack.pid(Part.AGENT)
    workers = [worker_pid(agent, stage) for stage in ("stt", "llm", "tts")]
    os.kill(agent, signal.SIGKILL)
    while any(_alive(pid) for pid in workers):
        await asyncio.sleep(0.02)


def _alive(pid):
    try:
        return bool(words_of(Path(f"/proc/{pid}/cmdline").read_bytes()))
    except FileNotFoundError:
        return False
