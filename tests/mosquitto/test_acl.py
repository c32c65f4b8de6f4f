"""The shipped rules hold: who may write and read what, and nobody else at all."""

import asyncio
import subprocess

import pytest

from agent.contract.terms import AdminOperation, Operation
from agent.contract.topics import Topics
from agent.mqtt.message import Delivery, Message, Publication
from agent.provision.acl import add_rules
from agent.provision.reload import reload_broker
from agent.stack.broker import USERS, Broker
from agent.stack.ports import HOST
from tests.mosquitto.conftest import client_of

pytestmark = [pytest.mark.anyio, pytest.mark.once]

TOPICS, ANOTHER = Topics(), Topics(agent="another")
DRAIN = AdminOperation.DRAIN
EYE = "eye"
"""Who may hear everything, in these tests only."""

WRITES = {
    ("demo", TOPICS.request("demo", Operation.CHAT)): True,
    ("demo", TOPICS.request("demo", Operation.CANCEL)): True,
    ("demo", TOPICS.request("demo", Operation.LOOKUP)): True,
    ("demo", f"{ANOTHER.request('demo', Operation.CHAT)}/1/text"): True,
    ("demo", TOPICS.client_status("demo")): True,
    ("demo", TOPICS.client_status("other")): False,
    ("demo", f"{TOPICS.client_status('demo')}/more"): False,
    ("demo", TOPICS.request("other", Operation.CHAT)): False,
    ("demo", TOPICS.request("bridge", Operation.CHAT)): False,
    ("demo", TOPICS.request("http-website", Operation.CHAT)): False,
    ("demo", TOPICS.reply("demo", "1")): False,
    ("demo", TOPICS.reply("other", "1")): False,
    ("demo", TOPICS.probe): False,
    ("demo", TOPICS.status): False,
    ("demo", TOPICS.info): False,
    ("demo", TOPICS.state): False,
    ("demo", TOPICS.template("brief")): False,
    ("demo", TOPICS.admin("demo", DRAIN)): False,
    ("demo", TOPICS.admin("operator", DRAIN)): False,
    ("demo", "home/light"): False,
    ("demo", "$SYS/broker/uptime"): False,
    ("demo", "$CONTROL/dynamic-security/v1"): False,
    ("bridge", TOPICS.request("bridge", Operation.CHAT)): True,
    ("bridge", TOPICS.request("demo", Operation.CHAT)): False,
    ("bridge", TOPICS.request("http-website", Operation.CHAT)): False,
    ("bridge", TOPICS.reply("bridge", "1")): False,
    ("bridge", TOPICS.admin("bridge", DRAIN)): False,
    ("bridge", TOPICS.admin("operator", DRAIN)): False,
    ("bridge", TOPICS.probe): False,
    ("bridge", TOPICS.template("brief")): False,
    ("bridge", "home/light"): False,
    ("operator", TOPICS.admin("operator", DRAIN)): True,
    ("operator", TOPICS.admin("demo", DRAIN)): False,
    ("operator", TOPICS.template("brief")): False,
    ("operator", TOPICS.client_status("demo")): False,
    ("operator", TOPICS.reply("demo", "1")): False,
    ("operator", "$CONTROL/dynamic-security/v1"): False,
    ("agent", TOPICS.reply("demo", "1")): True,
    ("agent", TOPICS.event(TOPICS.reply("demo", "1"))): True,
    ("agent", TOPICS.status): True,
    ("agent", TOPICS.info): True,
    ("agent", TOPICS.state): True,
    ("agent", TOPICS.template("brief")): True,
    ("agent", f"{TOPICS.template('brief')}/more"): False,
    ("agent", TOPICS.probe): True,
    ("agent", TOPICS.client_status("demo")): False,
    ("agent", TOPICS.request("demo", Operation.CHAT)): False,
    ("agent", TOPICS.admin("operator", DRAIN)): False,
    ("agent", "home/light"): False,
    ("agent", "home/lock/set"): False,
    ("agent", "$CONTROL/dynamic-security/v1"): False,
}
WRITERS = sorted({user for user, _ in WRITES})


@pytest.fixture
async def watched(broker_folder):
    """A broker that has one more user, who may hear everything."""
    async with Broker(broker_folder, users=(*USERS, EYE), operators=("operator",)) as broker:
        add_rules(broker.files.acl, EYE, ["topic read #", "topic read $CONTROL/#"])
        await asyncio.to_thread(reload_broker, broker.pid_file)
        yield broker


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_who_may_write_what(watched, protocol):
    """By what arrives; a publisher of MQTT 5 is told, too, one of 3.1.1 is not."""
    arrived: set[str] = set()
    last = asyncio.Event()

    def hear(message: Message) -> None:
        arrived.add(f"{message.payload.decode()} {message.topic}")
        if message.payload == b"last":
            last.set()

    refused: set[tuple[str, str]] = set()
    async with client_of(watched.mqtt(EYE), hear, ["#", "$CONTROL/#"]) as eye:
        await eye.wait_connected(5)
        for user in WRITERS:
            async with client_of(watched.mqtt(user, protocol=protocol)) as client:
                await client.wait_connected(5)
                for topic in (topic for writer, topic in WRITES if writer == user):
                    if await client.publish(Publication(topic, user.encode())) is Delivery.REFUSED:
                        refused.add((user, topic))
                if user == "agent":
                    await client.publish(Publication(TOPICS.status, b"last"))
                    await asyncio.wait_for(last.wait(), 5)
        # The agent came first: whatever the others wrote is there once one more of its messages is.
        last.clear()
        async with client_of(watched.mqtt("agent")) as agent:
            await agent.wait_connected(5)
            await agent.publish(Publication(TOPICS.status, b"last"))
            await asyncio.wait_for(last.wait(), 5)

    found = {(user, topic): f"{user} {topic}" in arrived for user, topic in WRITES}
    assert found == WRITES
    assert refused == ({one for one, allowed in WRITES.items() if not allowed} if protocol == "5" else set())


REQUEST = TOPICS.request("demo", Operation.CHAT)
REPLY = TOPICS.reply("demo", "1")
TEMPLATE = TOPICS.template("brief")
SENT = [
    ("demo", REQUEST),
    ("demo", TOPICS.client_status("demo")),
    ("bridge", TOPICS.request("bridge", Operation.CHAT)),
    ("operator", TOPICS.admin("operator", DRAIN)),
    ("agent", REPLY),
    ("agent", TOPICS.event(REPLY)),
    ("agent", TOPICS.reply("bridge", "1")),
    ("agent", TOPICS.probe),
    ("agent", TEMPLATE),
    ("agent", TOPICS.status),
]
READS = {
    "agent": {
        REQUEST,
        TOPICS.client_status("demo"),
        TOPICS.request("bridge", Operation.CHAT),
        TOPICS.admin("operator", DRAIN),
        TOPICS.probe,
        TEMPLATE,
        TOPICS.status,
    },
    "demo": {REPLY, TOPICS.event(REPLY), TEMPLATE, TOPICS.status},
    "other": {TEMPLATE, TOPICS.status},
    "bridge": {TOPICS.reply("bridge", "1"), TEMPLATE, TOPICS.status},
    "operator": {TOPICS.client_status("demo"), TEMPLATE, TOPICS.status},
}
EVERYTHING = [
    "#",
    "$share/thieves/#",
    "+/#",
    "edgevoice/v1/orin/#",
    "edgevoice/v1/+/+/+/+",
    "edgevoice/v1/+/reply/#",
    "$SYS/#",
]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("reader", list(READS))
async def test_no_wildcard_hears_more_than_its_user_may_read(broker, reader, protocol):
    heard: set[str] = set()
    last = asyncio.Event()

    def hear(message: Message) -> None:
        heard.add(message.topic)
        if message.payload == b"last":
            last.set()

    exact = [topic for _, topic in SENT]
    async with client_of(broker.mqtt(reader, protocol=protocol), hear, [*EVERYTHING, *exact]) as listening:
        await listening.wait_connected(5)
        for user in ("demo", "bridge", "operator", "agent"):
            async with client_of(broker.mqtt(user)) as speaking:
                await speaking.wait_connected(5)
                for topic in (topic for sender, topic in SENT if sender == user):
                    await speaking.publish(Publication(topic, b"x"))
                if user == "agent":
                    await speaking.publish(Publication(TOPICS.status, b"last"))
        await asyncio.wait_for(last.wait(), 5)

    assert heard == READS[reader]


@pytest.mark.parametrize("user", ["demo", "nobody", None])
async def test_nobody_enters_without_a_password(broker, user):
    arguments = [] if user is None else ["-u", user, "-P", "wrong"]

    argv = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), *arguments, "-t", REQUEST, "-m", "hi"]
    done = await asyncio.to_thread(subprocess.run, argv, stderr=subprocess.PIPE, check=False)

    assert done.returncode != 0
    assert b"not authorised" in done.stderr


async def test_new_rules_hold_for_who_is_connected(broker):
    """What `edgevoice keys` adds and removes."""
    asked = TOPICS.request("http-website", Operation.CHAT)
    lines = ["topic write edgevoice/v1/+/request/http-website/#", "topic read edgevoice/v1/+/reply/http-website/#"]
    async with client_of(broker.mqtt("bridge")) as bridge:
        await bridge.wait_connected(5)
        assert await bridge.publish(Publication(asked, b"x")) is Delivery.REFUSED

        add_rules(broker.files.acl, "bridge", lines)
        await asyncio.to_thread(reload_broker, broker.pid_file)
        assert await bridge.publish(Publication(asked, b"x")) is not Delivery.REFUSED
