"""Who does not want an answer any more gets none made: seen on the engine, not on the reply alone."""

import asyncio
import json
import uuid

import pytest

from tests.callers import mqtt_caller
from tests.faults.ledger import executed
from tests.faults.trial import trial

pytestmark = [pytest.mark.anyio, pytest.mark.once]

STATE = "edgevoice/v1/orin/state"
LONG = " ".join(["word"] * 60)


@pytest.fixture
async def slow(tmp_path):
    """One conversation at a time, of six seconds."""
    options = {"answer": LONG, "piece_delay_s": 0.1, "slots": 1}
    async with trial(tmp_path, mix=(), llm_options=options, environment={"EDGEVOICE_MAX_CONCURRENT": "1"}) as t:
        with mqtt_caller(t.stack) as caller, mqtt_caller(t.stack, filters=[STATE]) as watcher:
            yield t, caller, watcher


def ask(caller, **fields):
    request_id = uuid.uuid4().hex
    caller.publish(caller.request(), {"id": request_id, "text": request_id, **fields})
    return request_id


async def reply(caller, request_id):
    return await asyncio.to_thread(caller.reply, request_id)


async def engine(watcher, *, busy):
    """Returns once the language model is in the middle of so many calls."""
    while True:
        state = json.loads((await asyncio.to_thread(watcher.next, STATE)).payload)
        if state["engines"].get("llm", {}).get("busy") == busy:
            return


async def test_what_expires_while_it_waits_never_reaches_the_engine(slow):
    """T1"""
    t, caller, watcher = slow
    first = ask(caller)
    await engine(watcher, busy=1)
    late = ask(caller, deadline_ms=50)
    assert (await reply(caller, late))["status"] == "expired"
    caller.publish(caller.request("cancel"), first)
    await reply(caller, first)
    assert late not in [line["question"] for line in executed(t.executions)]


async def test_a_deadline_frees_the_engine_in_the_middle_of_an_answer(slow):
    """T2"""
    _, caller, watcher = slow
    request_id = ask(caller, deadline_ms=2_500)
    await engine(watcher, busy=1)
    ended = await reply(caller, request_id)
    assert (ended["status"], ended["finish_reason"]) == ("expired", "deadline")
    assert LONG.startswith(ended["text"])
    await engine(watcher, busy=0)


async def test_a_cancel_frees_the_engine_and_the_next_one_begins(slow):
    """T3"""
    _, caller, watcher = slow
    request_id, following = ask(caller), ask(caller, params={"max_tokens": 2})
    await engine(watcher, busy=1)
    caller.publish(caller.request("cancel"), {"id": request_id})
    assert (await reply(caller, request_id))["status"] == "cancelled"
    assert (await reply(caller, following))["text"] == "word word"
    await engine(watcher, busy=0)


async def test_a_device_that_is_gone_has_its_run_cancelled(slow):
    _, caller, watcher = slow
    request_id = ask(caller)
    await engine(watcher, busy=1)
    caller.publish("edgevoice/v1/clients/demo/status", "offline")
    ended = await reply(caller, request_id)
    assert (ended["status"], ended["error"]["reason"]) == ("cancelled", "client_offline")
    await engine(watcher, busy=0)
