"""What networks do to the agent's connection, and what a caller sees of it: nothing but time."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest

from agent.stack import Part
from agent.stack.ports import free_port
from tests.callers import PATIENCE_S, mqtt_caller
from tests.faults.proxy import Proxy
from tests.faults.requesters import MqttRequester, requester
from tests.faults.trial import trial

pytestmark = [pytest.mark.anyio, pytest.mark.once]

STATUS = "edgevoice/v1/orin/status"
KEEPALIVE_S = 5
BROKER_LOOKS_S = 6
"""Mosquitto looks every five seconds whom it has not heard for too long."""


@asynccontextmanager
async def far_agent(folder, **changes):
    """A trial whose agent reaches the broker through a proxy."""
    port = free_port()
    async with Proxy(port) as proxy:
        environment = {
            "EDGEVOICE_MQTT__PORT": str(proxy.port),
            "EDGEVOICE_MQTT__KEEPALIVE_S": str(KEEPALIVE_S),
            "EDGEVOICE_PROBE_INTERVAL_S": "1",
        }
        async with trial(folder, mix=("mqtt5", "mqtt311"), mqtt_port=port, environment=environment, **changes) as t:
            yield t, proxy


async def test_a_reply_whose_confirmation_is_lost_comes_again_and_is_one_outcome(tmp_path):
    """R5"""
    async with far_agent(tmp_path, retry_s=None) as (t, proxy):
        proxy.down.slice_bytes = 1  # so that requests, too, arrive in pieces
        asking = [asyncio.create_task(who.ask(uuid.uuid4().hex)) for who in t.requesters for _ in range(5)]
        while len(t.ledger.replies) < len(asking):  # every reply is out; now their confirmations go under
            await asyncio.sleep(0.01)
        proxy.down.lost = True
        more = [asyncio.create_task(who.ask(uuid.uuid4().hex)) for who in t.requesters]
        sent = proxy.down.seen_bytes
        await proxy.until(lambda: proxy.down.seen_bytes > sent)
        await proxy.release()
        await proxy.cut()
        await asyncio.wait_for(asyncio.gather(*asking, *more), PATIENCE_S)
        verdict = await t.verdict()
    assert not verdict.violations


async def test_a_connection_cut_often_loses_nothing(tmp_path):
    async with far_agent(tmp_path, retry_s=None) as (t, proxy):
        loading = asyncio.create_task(t.load(75, per_s=25))
        for cut in range(1, 4):
            await proxy.until(lambda: proxy.accepted >= cut)  # noqa: B023 - awaited within the turn
            seen = proxy.up.seen_bytes
            await proxy.until(lambda: proxy.up.seen_bytes > seen + 3_000)  # noqa: B023 - the same
            await proxy.cut()
        await loading
        verdict = await t.verdict()
    assert not verdict.violations


async def test_a_connection_that_hangs_is_given_up_and_loses_nothing(tmp_path):
    """R9"""
    async with far_agent(tmp_path, retry_s=None) as (t, proxy):
        before = proxy.accepted
        await proxy.freeze()
        asking = [asyncio.create_task(who.ask(uuid.uuid4().hex)) for who in t.requesters]
        await asyncio.wait_for(proxy.until(lambda: proxy.accepted > before), 2 * KEEPALIVE_S)
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        verdict = await t.verdict()
    assert not verdict.violations


async def test_presence_is_true_after_a_kill_and_after_a_pulled_cable(tmp_path):
    """W6"""
    async with far_agent(tmp_path) as (t, proxy):
        with mqtt_caller(t.stack, filters=[STATUS]) as caller:
            await said(caller, "online", within_s=PATIENCE_S)
            await t.stack.kill(Part.AGENT)
            await said(caller, "offline", within_s=1)
            await t.stack.start(Part.AGENT)
            await said(caller, "online", within_s=PATIENCE_S)
            proxy.refusing = True
            await proxy.freeze()
            await said(caller, "offline", within_s=1.5 * KEEPALIVE_S + BROKER_LOOKS_S)
            await proxy.release()
            await said(caller, "online", within_s=PATIENCE_S)
        assert (await t.requesters[0].ask(uuid.uuid4().hex))["status"] == "ok"


async def said(caller, status, *, within_s):
    """Returns once the agent's status is that."""

    async def heard():
        while (await asyncio.to_thread(caller.next, STATUS)).payload != status.encode():
            pass

    await asyncio.wait_for(heard(), within_s)


async def test_a_broker_without_its_memory_gets_the_reply_and_nothing_is_taken_for_acknowledged(tmp_path):
    """R6: packet identifiers begin anew, and an acknowledgement of the old ones would destroy a new request."""
    async with trial(tmp_path, mix=("mqtt5",), job_s=1.0, retry_s=None) as t:
        requester = t.requesters[0]
        running = asyncio.create_task(requester.ask(uuid.uuid4().hex))
        while not t.executions.exists():
            await asyncio.sleep(0.01)
        await t.stack.kill(Part.BROKER)
        (t.stack.folder / "broker" / "data" / "mosquitto.db").unlink(missing_ok=True)
        await t.stack.start(Part.BROKER)
        new = [asyncio.create_task(requester.ask(uuid.uuid4().hex)) for _ in range(3)]
        await asyncio.wait_for(asyncio.gather(running, *new), PATIENCE_S)
        verdict = await t.verdict()
    assert not verdict.violations


async def test_one_who_does_not_listen_holds_nobody_up(tmp_path):
    """L3"""
    async with (
        trial(tmp_path, mix=("mqtt5",), users=("client-0", "deaf")) as t,
        Proxy(t.stack.broker.port) as proxy,
        requester("mqtt5", t.stack, "deaf", t.ledger, port=proxy.port) as deaf,
    ):
        assert isinstance(deaf, MqttRequester)
        proxy.down.held = True
        asking = [asyncio.create_task(deaf.ask(uuid.uuid4().hex, stream={"text": True})) for _ in range(50)]
        await asyncio.wait_for(t.load(50, per_s=25), PATIENCE_S)
        assert not any(task.done() for task in asking)
        await proxy.release()
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        verdict = await t.verdict()
    assert not verdict.violations
