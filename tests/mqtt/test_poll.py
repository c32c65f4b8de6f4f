"""paho's select() goes beyond 1024 open files."""

import asyncio
import socket
import subprocess
import sys
from functools import partial

import pytest

from agent.mqtt.poll import PollingSelect

PROGRAM = """
import asyncio, os, resource, sys
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Publication
from agent.mqtt.settings import MqttSettings

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]

async def main():
    settings = MqttSettings(port=int(sys.argv[1]), username="demo", password_file=sys.argv[2])
    async with MqttClient(settings, client_id="many", on_message=print) as client:
        await client.wait_connected(10)
        delivery = await client.publish(Publication("edgevoice/v1/orin/request/demo/chat", b"x"))
        assert delivery is Delivery.NO_SUBSCRIBERS
        assert client._link._live.socket().fileno() > 1_024

asyncio.run(main())
"""


@pytest.mark.anyio
@pytest.mark.once
async def test_a_broker_is_reached_with_a_thousand_files_open(broker):
    command = [sys.executable, "-c", PROGRAM, str(broker.port), str(broker.password_file("demo"))]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_is_ready_is_told_and_what_is_not_is_waited_for(pair):
    ours, theirs = pair
    assert PollingSelect.select([ours], [], [], 0.0) == ([], [], [])
    theirs.send(b"x")
    assert PollingSelect.select([ours, theirs], [ours], [], 1.0) == ([ours], [ours], [])


def test_an_end_that_hung_up_can_be_read(pair):
    ours, theirs = pair
    theirs.close()
    assert PollingSelect.select([ours], [], [], 1.0)[0] == [ours]


def test_what_cannot_be_waited_for_is_an_error_that_paho_knows(pair):
    ours, _ = pair
    ours.close()
    with pytest.raises(ValueError, match="closed"):
        PollingSelect.select([ours], [], [], 0.0)
    with pytest.raises(TypeError):
        PollingSelect.select([None], [], [], 0.0)
