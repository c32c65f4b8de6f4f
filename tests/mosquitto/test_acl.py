"""The shipped rules hold: who may write and read what, and nobody else at all."""

import asyncio
from collections.abc import Callable

import pytest

from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message, Publication, Subscription
from agent.stack.broker import Broker
from agent.stack.ports import HOST

pytestmark = [pytest.mark.anyio, pytest.mark.once]

TOPICS = Topics()


def client_of(
    broker: Broker, user: str, heard: Callable[[Message], None] | None = None, topic_filter: str | None = None
) -> MqttClient:
    return MqttClient(
        broker.mqtt(user),
        client_id=f"test-{user}-{topic_filter is not None}",
        on_message=heard or (lambda _: None),
        subscriptions=(Subscription(topic_filter, retained=True),) if topic_filter else (),
    )


WRITES = {
    ("demo", TOPICS.request("demo", Operation.CHAT)): True,
    ("demo", TOPICS.request("demo", Operation.CANCEL)): True,
    ("demo", "edgevoice/v1/another/request/demo/wav/1/text"): True,
    ("demo", TOPICS.request("other", Operation.CHAT)): False,
    ("demo", TOPICS.request("bridge", Operation.CHAT)): False,
    ("demo", TOPICS.reply("demo", "1")): False,
    ("demo", "edgevoice/v1/clients/demo/status"): False,
    ("demo", "edgevoice/v1/orin/admin/demo/drain"): False,
    ("demo", "edgevoice/v1/orin/admin/operator/drain"): False,
    ("bridge", "edgevoice/v1/orin/admin/bridge/drain"): False,
    ("operator", "edgevoice/v1/orin/admin/operator/drain"): True,
    ("operator", "edgevoice/v1/orin/admin/demo/drain"): False,
    ("demo", TOPICS.status): False,
    ("demo", "home/light"): False,
    ("demo", "$SYS/broker/uptime"): False,
    ("bridge", TOPICS.request("bridge", Operation.CHAT)): True,
    ("bridge", TOPICS.request("demo", Operation.CHAT)): False,
    ("bridge", TOPICS.reply("bridge", "1")): False,
    ("agent", TOPICS.reply("demo", "1")): True,
    ("agent", f"{TOPICS.reply('demo', '1')}/event"): True,
    ("agent", TOPICS.status): True,
    ("agent", TOPICS.info): True,
    ("agent", TOPICS.state): True,
    ("agent", "edgevoice/v1/orin/probe"): False,
    ("agent", TOPICS.request("demo", Operation.CHAT)): False,
    ("agent", "home/light"): False,
    ("agent", "$CONTROL/dynamic-security/v1"): False,
}


@pytest.mark.parametrize("user", ["demo", "bridge", "agent"])
async def test_who_may_write_what(broker, user):
    wanted = {topic: allowed for (writer, topic), allowed in WRITES.items() if writer == user}

    async with client_of(broker, user) as client:
        await client.wait_connected(5)
        found = {topic: await client.publish(Publication(topic, b"x")) for topic in wanted}

    assert {topic: delivery is not Delivery.REFUSED for topic, delivery in found.items()} == wanted


READS = {
    "agent": {
        TOPICS.request("demo", Operation.CHAT),
        TOPICS.request("bridge", Operation.CHAT),
        TOPICS.status,
    },
    "demo": {TOPICS.reply("demo", "1"), f"{TOPICS.reply('demo', '1')}/event", TOPICS.status},
    "other": {TOPICS.status},
    "bridge": {TOPICS.reply("bridge", "1"), TOPICS.status},
}
SENT = [
    ("demo", TOPICS.request("demo", Operation.CHAT)),
    ("bridge", TOPICS.request("bridge", Operation.CHAT)),
    ("agent", TOPICS.reply("demo", "1")),
    ("agent", f"{TOPICS.reply('demo', '1')}/event"),
    ("agent", TOPICS.reply("bridge", "1")),
    ("agent", TOPICS.status),
]


@pytest.mark.parametrize("reader", list(READS))
@pytest.mark.parametrize("topic_filter", ["#", "edgevoice/v1/orin/#", "edgevoice/v1/#"])
async def test_a_wildcard_hears_only_what_its_user_may_read(broker, reader, topic_filter):
    heard: set[str] = set()
    last = asyncio.Event()

    def on_message(message: Message) -> None:
        heard.add(message.topic)
        if message.payload == b"last":
            last.set()

    async with (
        client_of(broker, reader, on_message, topic_filter) as listening,
        client_of(broker, "demo") as demo,
        client_of(broker, "bridge") as bridge,
        client_of(broker, "agent") as agent,
    ):
        speaking = {"demo": demo, "bridge": bridge, "agent": agent}
        for client in (listening, *speaking.values()):
            await client.wait_connected(5)
        for user, topic in SENT:
            await speaking[user].publish(Publication(topic, b"x"))
        await agent.publish(Publication(TOPICS.status, b"last"))
        await asyncio.wait_for(last.wait(), 5)

    root = topic_filter.removesuffix("#")
    assert heard == {topic for topic in READS[reader] if topic.startswith(root)}


@pytest.mark.parametrize("user", ["demo", "nobody", None])
async def test_nobody_enters_without_a_password(broker, user):
    arguments = [] if user is None else ["-u", user, "-P", "wrong"]
    topic = TOPICS.request("demo", Operation.CHAT)

    argv = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), *arguments, "-t", topic, "-m", "hi"]
    publishing = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await publishing.communicate()

    assert publishing.returncode != 0
    assert b"not authorised" in said
