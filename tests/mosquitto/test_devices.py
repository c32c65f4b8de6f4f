"""On the devices' listeners nobody is anybody else: encrypted, by password or certificate, with no id but the own."""

import asyncio

import pytest

from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.login import refusals
from agent.mqtt.message import Message, Publication, Subscription
from agent.provision.authority import Authority
from tests.mosquitto.conftest import client_of

pytestmark = [pytest.mark.anyio, pytest.mark.once]

TOPICS = Topics()
REQUEST = TOPICS.request("demo", Operation.CHAT)
AGENT_ID = "edgevoice-agent-orin"


class Ear:
    """What arrives, one after the other."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Message] = asyncio.Queue()

    async def next(self) -> Message:
        return await asyncio.wait_for(self.heard.get(), 5)


def agent_on(broker, ear):
    """What the agent is to the broker: a session that outlives its connection, under a known id."""
    return MqttClient(
        broker.mqtt("agent"),
        client_id=AGENT_ID,
        on_message=ear.heard.put_nowait,
        subscriptions=[Subscription(TOPICS.all_requests)],
        session_expiry_s=60,
    )


async def test_the_id_of_the_agent_does_not_give_its_session_to_another_user(device_broker):
    ear, stolen = Ear(), Ear()
    thief = MqttClient(
        device_broker.device_mqtt("other"),
        client_id=AGENT_ID,
        on_message=stolen.heard.put_nowait,
        subscriptions=[Subscription("#", retained=True)],
    )
    async with client_of(device_broker.mqtt("demo")) as demo:
        await demo.wait_connected(5)
        async with agent_on(device_broker, ear) as agent:
            await agent.wait_connected(5)
            await demo.publish(Publication(REQUEST, b"alone"))
            before = await ear.next()
            async with thief:
                await thief.wait_connected(5)
                await demo.publish(Publication(REQUEST, b"beside the thief"))
                beside = await ear.next()
            agent.ack(before)
            agent.ack(beside)
        assert (beside.payload, beside.epoch) == (b"beside the thief", before.epoch), "the agent lost its connection"

        await demo.publish(Publication(REQUEST, b"while it was away"))
        async with thief:
            await thief.wait_connected(5)
        async with agent_on(device_broker, ear):
            assert (await ear.next()).payload == b"while it was away"
    assert stolen.heard.empty()


async def test_the_id_of_another_device_neither_disconnects_it_nor_hears_its_replies(device_broker):
    mine, theirs = Ear(), Ear()
    replies = [TOPICS.all_replies("demo")]
    demo = client_of(device_broker.device_mqtt("demo"), mine.heard.put_nowait, replies, client_id="demo")
    thief = client_of(device_broker.device_mqtt("other"), theirs.heard.put_nowait, replies, client_id="demo")
    async with demo, thief, client_of(device_broker.mqtt("agent")) as agent:
        for client in (demo, thief, agent):
            await client.wait_connected(5)
        await agent.publish(Publication(TOPICS.reply("demo", "1"), b"for demo alone"))
        assert (await mine.next()).payload == b"for demo alone"
        assert demo.connected
    assert theirs.heard.empty()


async def test_who_is_not_let_in(device_broker, tmp_path):
    _, with_certificate = device_broker.files.device_ports
    good = device_broker.device_mqtt("demo")
    stranger = Authority(tmp_path / "authority").device("demo")
    (tmp_path / "device.pem").write_bytes(stranger.certificate)
    (tmp_path / "device.key").write_bytes(stranger.key)
    signed_by_another = {"cert_file": tmp_path / "device.pem", "key_file": tmp_path / "device.key"}

    kept_out = {
        "no TLS": good.model_copy(update={"tls": False}),
        "no password": good.model_copy(update={"password_file": None}),
        "password of another": good.model_copy(update={"username": "other"}),
        "no certificate": good.model_copy(update={"port": with_certificate}),
        "another authority's": good.model_copy(update={"port": with_certificate, **signed_by_another}),
    }
    found = await refusals([good, *kept_out.values()], timeout_s=2)

    assert found[0] is None
    assert [name for name, refusal in zip(kept_out, found[1:], strict=True) if refusal is None] == []
