"""The scripts beside the units do what they say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Publication
from agent.stack.broker import Broker

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "systemd"


@pytest.fixture
async def database(broker_folder):
    """What a broker wrote that held a retained message."""
    async with (
        Broker(broker_folder) as broker,
        MqttClient(broker.mqtt("agent"), client_id="x", on_message=lambda _: None) as client,
    ):
        await client.publish(Publication(Topics().status, b"online", retain=True))
    return broker_folder / "broker" / "data" / "mosquitto.db"


def check(database):
    """What the check says, run as the broker's own user."""
    owner = database.parent.stat().st_uid
    return subprocess.run(
        [FOLDER / "check-broker-database", database],
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        user=owner if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=True,
    ).stderr


@pytest.mark.anyio
async def test_a_database_that_loads_is_left_alone(database):
    before = database.read_bytes()

    assert check(database) == ""
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["mosquitto.db"]


@pytest.mark.anyio
async def test_an_empty_database_is_none(database):
    database.write_bytes(b"")

    assert check(database) == ""
    assert database.exists()


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [1, 0.5], ids=["a byte", "half"])
async def test_a_torn_database_is_moved_aside_and_told(database, lost):
    whole = database.read_bytes()
    torn = whole[: -lost if lost >= 1 else int(len(whole) * lost)]
    database.write_bytes(torn)

    assert check(database).startswith("<2>the broker could not load")

    [aside] = database.parent.iterdir()
    assert aside.name.startswith("mosquitto.db.broken-")
    assert aside.read_bytes() == torn


def test_without_a_database_there_is_nothing_to_check(tmp_path):
    assert check(tmp_path / "mosquitto.db") == ""


def gpu_devices(dev):
    return subprocess.run([FOLDER / "gpu-devices", dev], capture_output=True, text=True, check=False)


def test_the_nodes_of_the_gpu_are_allowed_and_no_others(tmp_path):
    for node in ("nvmap", "nvgpu/igpu0/ctrl", "dri/renderD128", "dri/card0", "sda"):
        (tmp_path / node).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / node).symlink_to("/dev/null")

    printed = gpu_devices(tmp_path).stdout

    allowed = re.findall(r"^DeviceAllow=(.*)$", printed, re.MULTILINE)
    assert allowed == ["", "/dev/nvmap rw", "/dev/nvgpu/igpu0/ctrl rw", "/dev/dri/renderD128 rw"]
    assert "DevicePolicy=closed" in printed


def test_a_machine_without_a_gpu_is_told_so(tmp_path):
    done = gpu_devices(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "no device node" in done.stderr
