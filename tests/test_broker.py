"""The broker as shipped: its rules hold, its rendered files are the shipped ones, it can be killed and restarted."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.broker import HOST, Broker, render, run_folder, shipped
from agent.child import ChildError
from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message, Publication, Subscription
from agent.mqtt.settings import MqttSettings

TOPICS = Topics()
PLACES = {"listener", "password_file", "acl_file", "persistence_location"}


@pytest.fixture
def folder():
    path = run_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def broker(folder):
    async with Broker(folder, users=("agent", "bridge", "demo", "other")) as broker:
        yield broker


def client_of(
    broker: Broker, user: str, heard: Callable[[Message], None] | None = None, topic_filter: str | None = None
) -> MqttClient:
    settings = MqttSettings(
        host=HOST, port=broker.port, username=user, password_file=broker.password_file(user), reconnect_min_s=0.05
    )
    subscriptions = (Subscription(topic_filter, retained=True),) if topic_filter else ()
    return MqttClient(
        settings,
        client_id=f"test-{user}-{topic_filter is not None}",
        on_message=heard or (lambda _: None),
        subscriptions=subscriptions,
    )


def directives(conf: str) -> list[tuple[str, str]]:
    lines = (line for line in conf.splitlines() if line and not line.startswith("#"))
    return [(name, value) for name, _, value in (line.partition(" ") for line in lines)]


@pytest.mark.anyio
@pytest.mark.usefixtures("broker")
async def test_the_rendered_files_are_the_shipped_ones_but_for_places(folder):
    ours = (folder / "broker" / "mosquitto.conf").read_text()
    theirs = shipped("mosquitto.conf").read_text()

    differing = [a for a, b in zip(ours.splitlines(), theirs.splitlines(), strict=True) if a != b]
    assert {line.split()[0] for line in differing} == PLACES
    assert [name for name, _ in directives(ours)] == [name for name, _ in directives(theirs)]
    assert (folder / "broker" / "acl").read_text() == shipped("acl").read_text()


def test_what_the_shipped_files_must_not_lose():
    conf = directives(shipped("mosquitto.conf").read_text())
    settings = dict(conf)

    assert settings["listener"] == "1883 127.0.0.1"
    assert settings["allow_anonymous"] == "false"
    assert settings["set_tcp_nodelay"] == "true"
    assert settings["per_listener_settings"] == "false"
    assert int(settings["max_packet_size"]) == 8_000_000
    assert "message_size_limit" not in settings
    assert "%c" not in "".join(line for line in shipped("acl").read_text().splitlines() if not line.startswith("#"))
    assert conf[0] == ("per_listener_settings", "false"), "it must stand above the listener"


def test_render_changes_only_the_named_directives():
    conf = "# listener of old\nlistener 1883\n\nuser mosquitto\n"

    assert render(conf, {"listener": "7 x"}) == "# listener of old\nlistener 7 x\n\nuser mosquitto\n"


@pytest.mark.anyio
async def test_secrets_are_ours_alone_and_the_broker_is_not_root(broker, folder):
    process = os.stat(f"/proc/{broker.pid}")  # noqa: PTH116 - of a process, not a file of ours
    password_file = broker.password_file("demo")
    hashed = folder / "broker" / "passwords"

    assert process.st_uid != 0
    assert password_file.stat().st_mode & 0o077 == 0
    assert hashed.stat().st_mode & 0o077 == 0
    assert (folder / "secrets").stat().st_mode & 0o077 == 0
    assert password_file.read_text().strip() not in hashed.read_text()


WRITES = {
    ("demo", TOPICS.request("demo", Operation.CHAT)): True,
    ("demo", TOPICS.request("demo", Operation.CANCEL)): True,
    ("demo", "edgevoice/v1/another/request/demo/wav/1/text"): True,
    ("demo", "edgevoice/v1/clients/demo/status"): True,
    ("demo", TOPICS.request("other", Operation.CHAT)): False,
    ("demo", TOPICS.request("bridge", Operation.CHAT)): False,
    ("demo", TOPICS.reply("demo", "1")): False,
    ("demo", "edgevoice/v1/clients/other/status"): False,
    ("demo", "edgevoice/v1/orin/admin/demo/drain"): False,
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
    ("agent", "edgevoice/v1/orin/probe"): True,
    ("agent", TOPICS.request("demo", Operation.CHAT)): False,
    ("agent", "home/light"): False,
    ("agent", "$CONTROL/dynamic-security/v1"): False,
}


@pytest.mark.anyio
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
        "edgevoice/v1/clients/demo/status",
        "edgevoice/v1/orin/probe",
        TOPICS.status,
    },
    "demo": {TOPICS.reply("demo", "1"), f"{TOPICS.reply('demo', '1')}/event", TOPICS.status},
    "other": {TOPICS.status},
    "bridge": {TOPICS.reply("bridge", "1"), TOPICS.status},
}
SENT = [
    ("demo", TOPICS.request("demo", Operation.CHAT)),
    ("demo", "edgevoice/v1/clients/demo/status"),
    ("bridge", TOPICS.request("bridge", Operation.CHAT)),
    ("agent", "edgevoice/v1/orin/probe"),
    ("agent", TOPICS.reply("demo", "1")),
    ("agent", f"{TOPICS.reply('demo', '1')}/event"),
    ("agent", TOPICS.reply("bridge", "1")),
    ("agent", TOPICS.status),
]


@pytest.mark.anyio
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


@pytest.mark.anyio
@pytest.mark.parametrize("user", ["demo", "nobody", None])
async def test_nobody_enters_without_a_password(broker, user):
    arguments = [] if user is None else ["-u", user, "-P", "wrong"]
    topic = TOPICS.request("demo", Operation.CHAT)

    argv = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), *arguments, "-t", topic, "-m", "hi"]
    publishing = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await publishing.communicate()

    assert publishing.returncode != 0
    assert b"not authorised" in said


@pytest.mark.anyio
async def test_mosquittos_own_clients_find_it_with_the_options_folder(broker):
    environment = {**os.environ, "XDG_CONFIG_HOME": str(broker.client_options("demo"))}
    topic = TOPICS.request("demo", Operation.CHAT)
    argv = ["mosquitto_pub", "-V", "5", "-q", "1", "-t", topic, "-m", "hi"]
    publishing = await asyncio.create_subprocess_exec(*argv, env=environment, stderr=asyncio.subprocess.PIPE)

    _, said = await publishing.communicate()

    assert publishing.returncode == 0, said


@pytest.mark.anyio
async def test_killed_and_started_again_it_is_on_the_same_port_with_the_same_users(broker):
    first, port = broker.pid, broker.port
    await broker.kill()
    with pytest.raises(ChildError):
        _ = broker.pid

    await broker.start()

    assert (broker.pid != first, broker.port) == (True, port)
    async with client_of(broker, "demo") as client:
        await client.wait_connected(5)


@pytest.mark.anyio
async def test_what_is_retained_outlives_an_orderly_restart(broker):
    heard = asyncio.Event()
    async with client_of(broker, "agent") as client:
        await client.wait_connected(5)
        await client.publish(Publication(TOPICS.status, b"online", retain=True))
    await broker.stop()
    await broker.start()

    async with client_of(broker, "demo", lambda _: heard.set(), TOPICS.status):
        await asyncio.wait_for(heard.wait(), 5)


@pytest.mark.anyio
async def test_a_broker_that_cannot_start_says_why(folder):
    async with Broker(folder) as first:
        second_folder = run_folder()
        try:
            with pytest.raises(ChildError, match="in use"):
                await Broker(second_folder, port=first.port).start()
        finally:
            shutil.rmtree(second_folder)


@pytest.mark.anyio
async def test_it_tells_when_the_broker_ends_by_itself(broker):
    os.kill(broker.pid, signal.SIGKILL)

    with pytest.raises(ChildError, match="SIGKILL"):
        await broker.wait()


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only Linux ends a child with its parent")
def test_the_broker_dies_with_us_even_where_we_are_killed(folder):
    program = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from agent.broker import Broker\n"
        "async def main():\n"
        "    broker = Broker(Path(sys.argv[1]))\n"
        "    await broker.start()\n"
        "    print(broker.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    found = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)
    pid = int(found.stdout)

    assert wait_until_gone(pid)


def wait_until_gone(pid: int) -> bool:
    """The process may stay as a zombie where nobody is there to collect it; that counts as gone."""
    for _ in range(1_000):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        os.sched_yield()
        signal.sigtimedwait([], 0.01)
    return False


def test_a_run_folder_can_be_entered_by_others_but_not_listed():
    folder = run_folder()
    try:
        assert folder.stat().st_mode & 0o777 == 0o711
    finally:
        folder.rmdir()
