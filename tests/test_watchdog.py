"""The watchdog is fed by real progress only; here the test is the service manager that waits."""

import asyncio
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import closing
from functools import partial

import pytest

from agent.journal.entries import RunKey
from agent.journal.journal import Journal
from agent.mqtt.client import MqttClient
from agent.mqtt.settings import MqttSettings
from agent.notify import more_time, notify
from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import free_port
from agent.watchdog import Watchdog, period_s

pytestmark = pytest.mark.once

PATIENCE_S = 30.0
PERIOD_S = 0.6


class ServiceManager:
    """What systemd would hear."""

    def __init__(self) -> None:
        self.environment = {
            "NOTIFY_SOCKET": f"@edgevoice-{uuid.uuid4().hex}",
            "WATCHDOG_USEC": str(int(PERIOD_S * 1_000_000)),
        }
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.environment["NOTIFY_SOCKET"].replace("@", "\0"))
        self._heard: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen)  # the kernel holds no more than ten messages
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def next(self, timeout_s: float = PATIENCE_S) -> list[str]:
        """The states of the next message; queue.Empty where none comes."""
        return self._heard.get(timeout=timeout_s)

    def until(self, state: str) -> list[str]:
        """The next message with that state."""
        while state not in (heard := self.next()):
            pass
        return heard

    def forget(self) -> None:
        """Drops what was said until now."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
            mark.sendto(b"now", self._socket.getsockname())
        self.until("now")

    def _listen(self) -> None:
        while message := self._socket.recv(65_536):
            self._heard.put(message.decode().splitlines())


@pytest.fixture
def manager():
    with closing(ServiceManager()) as manager:
        yield manager


@pytest.fixture
def managed(manager, monkeypatch):
    """The service manager of this very process."""
    for name, value in manager.environment.items():
        monkeypatch.setenv(name, value)
    return manager


def test_states_go_in_one_message(managed):
    notify("READY=1", "STATUS=ready")

    assert managed.next() == ["READY=1", "STATUS=ready"]


def test_nobody_is_told_where_nobody_listens(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_more_time_is_told_in_microseconds():
    assert more_time(1.5) == "EXTEND_TIMEOUT_USEC=1500000"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_period_is_the_one_meant_for_this_process(variables, expected, monkeypatch):
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert period_s() == expected


@pytest.mark.anyio
async def test_where_nobody_waits_there_is_nothing_to_do(monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)

    await Watchdog({}).run()


@pytest.mark.anyio
async def test_it_pings_as_long_as_all_gets_on(managed):
    feeding = asyncio.create_task(Watchdog({"all": lambda: True}, status=lambda: "fine").run())

    heard = [await asyncio.to_thread(managed.next) for _ in range(3)]

    feeding.cancel()
    assert heard == [["WATCHDOG=1", "STATUS=fine"]] * 3


def test_what_is_stuck_is_told_once_and_gets_no_ping_until_it_gets_on_again(managed, caplog):
    going = {"this": True, "that": True}
    watchdog = Watchdog({name: partial(going.__getitem__, name) for name in going})
    watchdog.look()
    assert managed.next() == ["WATCHDOG=1"]

    going["that"] = False
    watchdog.look()
    watchdog.look()
    assert managed.next() == ["STATUS=that is stuck"]
    with pytest.raises(queue.Empty):
        managed.next(0.01)

    going["that"] = True
    watchdog.look()
    assert managed.next() == ["WATCHDOG=1"]
    assert [record.getMessage() for record in caplog.records] == [
        "that is stuck: the watchdog is not fed",
        "that gets on again",
    ]


def test_a_check_that_fails_does_not_hold(managed, caplog):
    def broken() -> bool:
        raise LookupError("gone")

    Watchdog({"this": broken}).look()

    assert managed.next() == ["STATUS=this is stuck"]
    assert "LookupError: gone" in caplog.text


@pytest.mark.anyio
async def test_a_journal_whose_thread_hangs_is_seen(tmp_path, monkeypatch):
    hold = threading.Event()
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        writer = journal._database._writer
        commit = writer._commit
        monkeypatch.setattr(writer, "_commit", lambda group: hold.wait() and commit(group))
        assert journal.waited_s == 0
        writing = journal.begun(RunKey("demo", "1"))
        while not journal.waited_s:
            await asyncio.sleep(0)

        hold.set()
        await writing
        while journal.waited_s:
            await asyncio.sleep(0)


@pytest.mark.anyio
async def test_a_connection_whose_thread_ended_is_seen_and_one_without_a_broker_is_not_dead():
    async with MqttClient(MqttSettings(port=free_port()), client_id="x", on_message=lambda _: None) as client:
        assert client.alive
        client._link._live.loop_stop()
        assert not client.alive


@pytest.fixture
async def stack(manager):
    settings = StackSettings.scripted(parts=(Part.BROKER, Part.AGENT), environment=manager.environment)
    async with Stack(settings) as running:
        yield running


@pytest.mark.anyio
async def test_the_agent_says_when_it_is_ready_and_when_it_stops(manager, stack):
    assert manager.until("STATUS=loading the engines")[1:] == [more_time(240)]
    assert manager.until("READY=1")[1:] == ["STATUS=ready"]
    assert manager.until("WATCHDOG=1")[1:] == ["STATUS=ready: 0 running, 0 queued"]

    await stack.stop(Part.AGENT)
    assert manager.until("STOPPING=1")[1:] == ["STATUS=finishing what runs", more_time(40)]


def hang(pid):
    """Returns once the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


@pytest.mark.anyio
async def test_an_agent_that_hangs_feeds_nothing(manager, stack):
    manager.until("READY=1")
    hang(stack.pid(Part.AGENT))
    manager.forget()
    with pytest.raises(queue.Empty):
        manager.next(2 * PERIOD_S)

    os.kill(stack.pid(Part.AGENT), signal.SIGCONT)
    manager.until("WATCHDOG=1")


@pytest.mark.anyio
async def test_a_broker_that_is_away_is_no_hang(manager, stack):
    manager.until("READY=1")
    await stack.stop(Part.BROKER)
    manager.forget()
    for _ in range(6):  # more than a period
        heard = manager.until("WATCHDOG=1")
    assert heard[1].endswith(", no broker")

    await stack.start(Part.BROKER)
    while heard[1].endswith(", no broker"):
        heard = manager.until("WATCHDOG=1")


@pytest.mark.parametrize(("said", "status"), [(["STATUS=x", "WATCHDOG=1"], 0), (["STATUS=x"], 1)])
def test_a_health_check_waits_for_a_ping_for_one_period(said, status, tmp_path, monkeypatch):
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    environment = {**os.environ, "WATCHDOG_USEC": str((30 if status == 0 else 2) * 1_000_000)}
    with subprocess.Popen([sys.executable, "-m", "agent.watchdog"], env=environment) as check:
        while check.poll() is None:
            notify(*said)

    assert check.returncode == status
    assert not (tmp_path / "notify").exists()


def test_a_health_check_without_an_address_says_so():
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    check = subprocess.run(
        [sys.executable, "-m", "agent.watchdog"], env=environment, capture_output=True, text=True, check=False
    )

    assert check.returncode == 1
    assert "NOTIFY_SOCKET" in check.stderr
