"""The parent of the workers, on workers that do nothing but what a test wants: ready, replaced, watched, ended."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.workers.place import Place

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[3]
PATIENCE_S = 10
PROGRAM = """
import asyncio, logging, os, signal, sys, time
from agent.notify import notify
from agent.watchdog import Watchdog
from bridge.workers.supervisor import Supervisor

def steady(number):
    os.write(1, f"began {number} {os.getpid()}\\n".encode())
    async def live():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        notify("READY=1")
        watching = asyncio.create_task(Watchdog({}).run())
        await stop.wait()
    stop = asyncio.Event()
    asyncio.run(live())
    os.write(1, f"ended {number}\\n".encode())
    return True

def deaf(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    notify("READY=1")
    time.sleep(60)

def hopeless(number):
    return number != 1 and steady(number)

logging.basicConfig()
ok = Supervisor({work}, workers=2, grace_s={grace_s}, silence_s={silence_s}).run()
sys.exit(0 if ok else 3)
"""


class Manager:
    """Stands in for systemd: hears what the supervisor tells."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE_S)

    def next(self) -> str:
        return self.socket.recv(4_096).decode()

    def until(self, word: str) -> None:
        while word not in self.next().splitlines():
            pass


@contextmanager
def supervising(
    tmp_path: Path, work: str, *, grace_s: float = 5, silence_s: float = 20
) -> Iterator[tuple[Any, Manager]]:
    manager = Manager(tmp_path / "notify")
    program = PROGRAM.replace("{work}", work).replace("{grace_s}", f"{grace_s}").replace("{silence_s}", f"{silence_s}")
    env = {**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    env.pop("WATCHDOG_PID", None)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=ROOT,
        start_new_session=True,
    )
    with process, manager.socket:
        try:
            yield process, manager
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers, too


def began(process):
    """Number and pid of the next worker that begins."""
    word, number, pid = process.stdout.readline().split()
    assert word == "began"
    return int(number), int(pid)


def test_ready_once_all_are_and_ended_together(tmp_path):
    with supervising(tmp_path, "steady") as (process, manager):
        assert sorted(number for number, _ in (began(process), began(process))) == [0, 1]
        assert manager.next() == "READY=1"
        manager.until("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert sorted(process.stdout.read().split()) == ["0", "1", "ended", "ended"]
        assert process.wait(PATIENCE_S) == 0


def test_a_worker_that_dies_is_replaced_in_its_place(tmp_path):
    with supervising(tmp_path, "steady") as (process, manager):
        number, pid = began(process)
        began(process)
        manager.until("READY=1")
        os.kill(pid, signal.SIGKILL)
        again, new = began(process)
        assert (again, new == pid) == (number, False)
        manager.until("WATCHDOG=1")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert f"worker {number} ended with signal SIGKILL" in process.stderr.read()


def test_a_worker_that_hangs_is_replaced_and_the_watchdog_kept_waiting(tmp_path):
    with supervising(tmp_path, "steady", silence_s=1.5) as (process, manager):
        number, pid = began(process)
        began(process)
        manager.until("READY=1")
        os.kill(pid, signal.SIGSTOP)
        manager.until(f"STATUS=worker {number} is stuck")
        assert began(process)[0] == number
        manager.until("WATCHDOG=1")


def test_a_worker_that_does_not_end_is_ended(tmp_path):
    with supervising(tmp_path, "deaf", grace_s=0.5) as (process, manager):
        manager.until("READY=1")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_a_worker_that_cannot_begin_ends_all(tmp_path):
    with supervising(tmp_path, "hopeless") as (process, _):
        assert process.wait(PATIENCE_S) == 3


def test_a_worker_that_cannot_be_forked_is_tried_again_later(monkeypatch):
    def refuse(_):
        raise BlockingIOError

    monkeypatch.setattr("multiprocessing.context.ForkProcess.start", refuse)
    place = Place(0)
    with pytest.raises(BlockingIOError):
        place.begin(lambda _: None)
    assert place.process is None
    assert not place.due
