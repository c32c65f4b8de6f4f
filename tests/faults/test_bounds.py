"""More than can be done at once, and the same thing many times: bounded, in order, once."""

import asyncio
import uuid

import pytest

from agent.contract.limits import Limits
from agent.stack import Part
from tests.callers import PATIENCE_S, mqtt_caller
from tests.faults.ledger import executed
from tests.faults.process import MIB, Footprint
from tests.faults.requesters import requester
from tests.faults.trial import trial
from tests.wav_files import sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

EXPIRY_S = 1


async def test_five_hundred_at_once_are_all_answered_within_the_bounds(tmp_path):
    """L1"""
    async with trial(tmp_path, job_s=0.01) as t:
        await t.load(16, per_s=50)
        agent = t.stack.pid(Part.AGENT)
        before = Footprint.of(agent)
        await t.load(500, per_s=500)
        assert Footprint.of(agent).peak_bytes - before.rss_bytes < 64 * MIB
        verdict = await t.verdict()
    assert not verdict.violations


async def test_a_backlog_of_clips_does_not_fill_the_memory(tmp_path):
    """L2"""
    clip = wav(sine(seconds=30))
    async with trial(tmp_path, mix=("mqtt5",), broker={"max_queued_bytes": str(2**28)}) as t:
        agent = t.stack.pid(Part.AGENT)
        with mqtt_caller(t.stack) as caller:
            assert (await asyncio.to_thread(caller.ask_wav, clip))["status"] == "ok"
            before = Footprint.of(agent)
            await t.stack.kill(Part.AGENT)
            ids = [uuid.uuid4().hex for _ in range(100)]
            for request_id in ids:
                caller.client.publish(caller.request(f"wav/{request_id}/text"), clip, 1)
            await t.stack.start(Part.AGENT)
            missing = set(ids)
            while missing:
                missing.discard((await asyncio.to_thread(caller.next)).topic.rpartition("/")[2])
        grown = Footprint.of(t.stack.pid(Part.AGENT)).peak_bytes - before.peak_bytes
        assert grown < 1.2 * Limits().max_queued_bytes


async def test_what_expired_in_the_broker_does_not_block_what_did_not(tmp_path):
    """L5"""
    environment = {"EDGEVOICE_PROBE_INTERVAL_S": "1"}
    async with trial(tmp_path, mix=("mqtt5",), environment=environment) as t:
        with mqtt_caller(t.stack) as caller:
            await t.stack.stop(Part.AGENT)
            for _ in range(30):
                caller.publish(caller.request(), {"text": "late"}, MessageExpiryInterval=EXPIRY_S)
            valid = [uuid.uuid4().hex for _ in range(5)]
            for request_id in valid:
                caller.publish(caller.request(), {"id": request_id, "text": "in time"})
            await asyncio.sleep(EXPIRY_S + 0.5)
            await t.stack.start(Part.AGENT)
            answered = {(await asyncio.to_thread(caller.reply, request_id))["status"] for request_id in valid}
    assert answered == {"ok"}


async def test_requests_of_one_client_begin_in_the_order_they_were_sent(tmp_path):
    """O1"""
    async with trial(tmp_path, mix=("mqtt5",), environment={"EDGEVOICE_LIMITS__MAX_QUEUED_PER_CLIENT": "100"}) as t:
        numbers = [f"{number:03}" for number in range(100)]
        await asyncio.wait_for(asyncio.gather(*map(t.requesters[0].ask, numbers)), PATIENCE_S)
        assert [question for question in begun(t) if question in numbers] == numbers


async def test_one_id_is_one_request_however_often_it_comes(tmp_path):
    """R7"""
    request_id = uuid.uuid4().hex
    async with trial(tmp_path, mix=("mqtt5",), job_s=0.3, retry_s=None) as t:
        async with (
            requester("mqtt311", t.stack, "client-0", t.ledger) as other,
            requester("mqtt5", t.stack, "client-0", t.ledger) as third,
        ):
            callers = (t.requesters[0], other, third)
            at_once = await asyncio.gather(*(callers[number % 3].ask(request_id) for number in range(50)))
            await t.restart(Part.AGENT)
            later = await t.requesters[0].ask(request_id)
            assert later["replayed"]
            assert [{**reply, "replayed": True} for reply in at_once] == [later] * 50
            with mqtt_caller(t.stack, user="client-0") as caller:
                another = await asyncio.to_thread(caller.ask, id=request_id, text="something else")
        assert another["error"]["code"] == "conflict"
        assert begun(t).count(request_id) == 1


def begun(t):
    """What the language model began to answer, in order; when the agent starts, it says hello."""
    return [line["question"] for line in executed(t.executions)]
