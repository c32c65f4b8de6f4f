"""Nothing that goes wrong on paho's thread ends it, or is lost with it."""

import asyncio

import pytest

from agent.mqtt.link import Link
from agent.mqtt.message import Publication
from agent.mqtt.network import Network
from tests.mqtt.test_client import REQUESTS, connected, get

pytestmark = pytest.mark.anyio

FILTER = "edgevoice/v1/+/request/#"


def failing_once(monkeypatch, callback):
    """The next call of `callback` fails, before it did anything."""
    real, failures = getattr(Link, callback), [RuntimeError("boom")]

    def fail(*args):
        if failures:
            raise failures.pop()
        return real(*args)

    monkeypatch.setattr(Link, callback, fail)
    return failures


@pytest.mark.parametrize(
    "callback",
    ["_on_pre_connect", "_on_connect", "_on_subscribe", "_on_puback", "_on_publish", "_on_disconnect"],
)
async def test_an_error_in_a_callback_costs_a_connection_at_most(broker, monkeypatch, caplog, callback):
    failures = failing_once(monkeypatch, callback)
    async with (
        connected(broker, "agent", [FILTER], session_expiry_s=60) as (agent, heard),
        connected(broker, "demo") as (demo, _),
    ):
        if callback == "_on_disconnect":
            agent.reconnect()
        delivered = demo.publish(Publication(REQUESTS, b"x"))
        message = await get(heard)
        await asyncio.wait_for(delivered, 10)
        assert message.payload == b"x"
        assert agent.alive
        assert not failures
    assert "boom" in caplog.text


async def test_an_error_while_the_broker_cannot_be_reached_does_not_end_the_tries(broker, monkeypatch, caplog):
    failures = failing_once(monkeypatch, "_on_connect_fail")
    async with connected(broker, "agent") as (agent, _):
        await broker.stop()
        while failures:
            await asyncio.sleep(0.01)
        await broker.start()
        await agent.wait_connected(10)
    assert "boom" in caplog.text


async def test_what_paho_itself_runs_into_does_not_end_its_thread(broker, monkeypatch, caplog):
    real, failures = Network._packet_handle, [ValueError("paho cannot read that")]

    def fail(network):
        if failures:
            raise failures.pop()
        return real(network)

    monkeypatch.setattr(Network, "_packet_handle", fail)
    async with connected(broker, "agent", [FILTER]) as (agent, heard), connected(broker, "demo") as (demo, _):
        await demo.publish(Publication(REQUESTS, b"x"))
        assert (await get(heard)).payload == b"x"
        assert agent.alive
    assert "paho cannot read that" in caplog.text


async def test_a_message_that_cannot_be_read_does_not_come_again(broker, monkeypatch, caplog):
    monkeypatch.setattr("agent.mqtt.link.read_publish", lambda *_, **__: 1 / 0)
    async with connected(broker, "demo") as (demo, _):
        async with connected(broker, "agent", [FILTER], session_expiry_s=60):
            await demo.publish(Publication(REQUESTS, b"poison"))
            while "cannot be read" not in caplog.text:
                await asyncio.sleep(0.01)
        monkeypatch.undo()
        async with connected(broker, "agent", [FILTER], session_expiry_s=60) as (_, heard):
            await demo.publish(Publication(REQUESTS, b"next"))
            assert (await get(heard)).payload == b"next"
