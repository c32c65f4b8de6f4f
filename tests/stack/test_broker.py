"""A broker of our own: its secrets are ours, it can be killed and started again, and it never outlives us."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.errors import UserError
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Publication, Subscription
from agent.stack.broker import Broker
from agent.stack.child import ChildError
from agent.stack.folder import run_folder

pytestmark = pytest.mark.once

TOPICS = Topics()


def client_of(broker: Broker, user: str, heard: Callable[[Message], None] = print) -> MqttClient:
    status = Subscription(TOPICS.status, retained=True)
    return MqttClient(broker.mqtt(user), client_id=f"test-{user}", on_message=heard, subscriptions=(status,))


@pytest.mark.anyio
async def test_secrets_are_ours_alone_and_the_broker_is_not_root(broker, broker_folder):
    process = os.stat(f"/proc/{broker.pid}")  # noqa: PTH116 - of a process, not a file of ours
    password_file = broker.password_file("demo")
    hashed = broker_folder / "broker" / "passwords"

    assert process.st_uid != 0
    assert password_file.stat().st_mode & 0o077 == 0
    assert hashed.stat().st_mode & 0o077 == 0
    assert (broker_folder / "secrets").stat().st_mode & 0o077 == 0
    assert password_file.read_text().strip() not in hashed.read_text()


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

    async with client_of(broker, "demo", lambda _: heard.set()):
        await asyncio.wait_for(heard.wait(), 5)


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [0, 0.5, 0.999], ids=["nothing", "half", "all but the end"])
async def test_a_torn_database_does_not_keep_it_from_starting(broker, kept):
    async with client_of(broker, "agent") as client:
        await client.wait_connected(5)
        await client.publish(Publication(TOPICS.status, b"online", retain=True))
    await broker.stop()
    database = broker.files.root / "data" / "mosquitto.db"
    whole = database.read_bytes()
    database.write_bytes(whole[: int(len(whole) * kept)])

    await broker.start()

    async with client_of(broker, "demo") as client:
        await client.wait_connected(5)
    aside = database.with_suffix(".db.broken")
    assert aside.exists() == (kept != 0), "an empty one is no loss"


@pytest.mark.anyio
async def test_a_broker_that_cannot_start_says_why(broker):
    with run_folder() as folder, pytest.raises(UserError, match="in use"):
        await Broker(folder, port=broker.port).start()


@pytest.mark.anyio
async def test_it_tells_when_the_broker_ends_by_itself(broker):
    os.kill(broker.pid, signal.SIGKILL)

    with pytest.raises(ChildError, match="SIGKILL"):
        await broker.wait()


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only Linux ends a child with its parent")
def test_the_broker_dies_with_us_even_where_we_are_killed(broker_folder):
    program = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from agent.stack.broker import Broker\n"
        "async def main():\n"
        "    broker = Broker(Path(sys.argv[1]))\n"
        "    await broker.start()\n"
        "    print(broker.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(broker_folder)], capture_output=True, text=True, check=False
    )
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
    with run_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o711
    assert not folder.exists()


def test_a_killed_process_leaves_its_run_folder_only_until_the_next_one_starts():
    program = (
        "import os, signal\n"
        "from agent.stack.folder import run_folder\n"
        "with run_folder() as folder:\n"
        "    print(folder, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with run_folder() as lived_in:
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        left = Path(found.stdout.strip())
        assert left.is_dir()

        with run_folder():
            assert not left.exists()
            assert lived_in.exists()
