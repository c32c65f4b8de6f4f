"""Devices come, ask, get new credentials and go, on a real broker."""

import asyncio
import os
import re
import shlex
import socket
import ssl
import subprocess

import pytest

from agent.client import AgentClient
from agent.commands import provision as command
from agent.contract.messages import Request
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.login import refusals
from agent.mqtt.message import Delivery, Publication
from agent.provision import passwords
from agent.provision.authority import names_in
from agent.stack.broker import Broker

pytestmark = [pytest.mark.anyio, pytest.mark.once]


async def asks(mqtt, client):
    """The reply to a question of `client`."""
    async with AgentClient(mqtt, topics=Topics(), client=client) as asking:
        return await asking.ask(Request(text="Hello?"))


async def gets_in(mqtt):
    return await refusals([mqtt], timeout_s=1) == [None]


class Connected:
    """A device that is connected, and hears of the end of it."""

    def __init__(self, mqtt):
        self.client = MqttClient(mqtt, client_id="any", on_message=print)

    async def __aenter__(self):
        await self.client.__aenter__()
        await self.client.wait_connected(5)
        return self

    async def __aexit__(self, *exc_info):
        await self.client.__aexit__(*exc_info)

    async def until_cut_off(self):
        await asyncio.wait_for(self._gone(), 10)

    async def _gone(self):
        while self.client.connected:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", [[], ["--cert"]], ids=["password", "certificate"])
async def test_a_device_asks_and_is_answered(provision, kind):
    name = f"device{len(kind)}"
    provision(name, *kind)

    for protocol in ("5", "3.1.1"):
        reply = await asks(provision.mqtt(name).model_copy(update={"protocol": protocol}), name)
        assert reply.text == "You said: Hello?"


async def test_what_it_prints_can_be_typed_and_holds_no_secret(provision):
    said = provision("shown", "--server-name", "127.0.0.1")
    tried = next(line for line in said.splitlines() if "mosquitto_rr" in line).strip()

    done = await asyncio.to_thread(subprocess.run, ["sh", "-c", tried], cwd=provision.folder, capture_output=True)

    assert b'"status":"ok"' in done.stdout, done.stderr
    assert (provision.folder / "shown" / "password").read_text().strip() not in said
    assert provision("--list").count("shown ") == 1

    certified = provision("shown2", "--cert", "--server-name", "127.0.0.1")
    tried = next(line for line in certified.splitlines() if "mosquitto_rr" in line)
    done = await asyncio.to_thread(subprocess.run, shlex.split(tried), cwd=provision.folder, capture_output=True)
    assert b'"status":"ok"' in done.stdout, done.stderr


async def test_again_it_says_so_and_changes_nothing(provision):
    provision("twice")
    password = (provision.folder / "twice" / "password").read_text()
    users = provision.stack.broker.files.passwords.read_text()

    said = provision("twice", status=1)

    assert "--rotate" in said
    assert password.strip() not in said
    assert provision.stack.broker.files.passwords.read_text() == users
    assert (provision.folder / "twice" / "password").read_text() == password


async def test_what_is_made_is_readable_by_its_owner_alone(provision):
    provision("private", "--cert")
    files = provision.stack.broker.files

    for folder in (provision.folder / "private", files.authority):
        assert folder.stat().st_mode & 0o077 == 0
    assert (files.authority / "ca.key").stat().st_mode & 0o077 == 0
    assert (provision.folder / "private" / "device.key").stat().st_mode & 0o077 == 0
    assert (files.devices / "server.key").stat().st_mode & 0o007 == 0
    in_etc = b"".join(path.read_bytes() for path in files.root.rglob("*") if path.is_file())
    assert (provision.folder / "private" / "device.key").read_bytes() not in in_etc


@pytest.mark.parametrize("kind", [[], ["--cert"]], ids=["password", "certificate"])
async def test_revoked_it_is_cut_off_and_kept_out_and_the_others_stay(provision, kind):
    name, neighbour = f"gone{len(kind)}", f"stays{len(kind)}"
    provision(name, *kind)
    provision(neighbour, *kind)

    async with Connected(provision.mqtt(name)) as device, Connected(provision.mqtt(neighbour)) as other:
        epochs = provision.stack.broker.pid
        await asyncio.to_thread(provision, name, "--revoke")
        await device.until_cut_off()
        assert other.client.connected
        assert provision.stack.broker.pid == epochs

    assert not await gets_in(provision.mqtt(name))
    assert await gets_in(provision.mqtt(neighbour))
    assert name not in provision("--list")
    assert "there is no user" in provision(name, "--revoke", status=1)
    provision(name, *kind, "--out", "anew")
    assert await gets_in(provision.mqtt(name, out="anew"))


@pytest.mark.parametrize("kind", [[], ["--cert"]], ids=["password", "certificate"])
async def test_with_new_credentials_the_old_ones_end_at_once(provision, kind):
    name = f"rotated{len(kind)}"
    provision(name, *kind)

    async with Connected(provision.mqtt(name)) as device:
        await asyncio.to_thread(provision, name, "--rotate", "--out", "new")
        await device.until_cut_off()

    assert not await gets_in(provision.mqtt(name))
    assert await gets_in(provision.mqtt(name, out="new"))
    assert provision("--list").count(name) == 1


async def test_a_certificate_in_the_place_of_a_password_and_back(provision):
    provision("both")
    provision("both", "--rotate", "--cert", "--out", "cert")
    assert not await gets_in(provision.mqtt("both"))
    assert await gets_in(provision.mqtt("both", out="cert"))

    assert "both:" not in provision.stack.broker.files.passwords.read_text()
    assert re.search(r"^both +certificate +until 20\d\d-", provision("--list"), re.MULTILINE)

    await asyncio.to_thread(provision, "both", "--rotate", "--password", "--out", "back")
    assert not await gets_in(provision.mqtt("both", out="cert"))
    assert await gets_in(provision.mqtt("both", out="back"))


async def test_an_operator_may_administer_until_it_is_revoked(provision):
    said = provision("boss", "--operator")
    assert "EDGEVOICE_OPERATORS" in said
    drain = "edgevoice/v1/another/admin/boss/drain"  # of an agent that is not there

    async with Connected(provision.mqtt("boss")) as boss:
        assert await boss.client.publish(Publication(drain, b"")) is not Delivery.REFUSED

    provision("boss", "--revoke")
    assert "boss" not in provision.stack.broker.files.acl.read_text()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("agent", "EdgeVoice's own"),
        ("bridge", "EdgeVoice's own"),
        ("http-website", "EdgeVoice's own"),
        ("edgevoice-agent-orin", "EdgeVoice's own"),
        ("operator", "--operator"),
        ("a/b", "is no name"),
        ("#", "is no name"),
        ("kitchen\n", "is no name"),
        ("", "name a DEVICE"),
        ("x" * 65, "is no name"),
    ],
)
def test_names_that_would_be_somebody_else(provision, name, told):
    before = provision.stack.broker.files.passwords.read_text()

    assert told in provision(name, status=1)
    assert provision.stack.broker.files.passwords.read_text() == before
    assert list(provision.folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="root may become somebody else")
def test_without_the_right_to_write_it_says_so(provision):
    os.seteuid(65_534)
    try:
        said = provision("kitchen", status=1)
    finally:
        os.seteuid(0)
    assert "run it as root, with sudo" in said


def test_without_its_package_it_says_which(provision, monkeypatch):
    monkeypatch.setattr(command, "_missing", ImportError("no cryptography"))

    assert "pip install 'edgevoice[provision]'" in provision("kitchen", status=1)


def test_without_mosquitto_passwd_nothing_is_left_behind(provision, monkeypatch):
    monkeypatch.setattr(passwords, "_SBIN", "")

    assert "sudo apt-get install mosquitto" in provision("lost", status=1)
    assert list(provision.folder.iterdir()) == []


def test_what_is_in_the_way_is_named(provision, tmp_path):
    (provision.folder / "full").mkdir()
    assert "is there already" in provision("full", status=1)
    assert "full" not in provision("--list")
    assert "mosquitto.conf cannot be read" in provision("x", "--mosquitto", str(tmp_path), status=1)
    assert "name a DEVICE" in provision(status=1)


async def test_a_broker_that_is_not_running_is_told_of_with_everything_made(broker_folder, provision):
    broker = Broker(broker_folder, devices=True)
    await broker.start()
    await broker.stop()
    where = ["--mosquitto", str(broker.files.root), "--pid-file", str(broker.pid_file)]

    said = provision("early", *where, status=1)

    assert "the broker's files are as they should be" in said
    assert "systemctl reload mosquitto" in said
    assert (provision.folder / "early" / "password").exists()
    assert "early" in provision("--list", *where)


async def test_at_first_use_listeners_are_opened_which_needs_a_restart(broker_folder, provision):
    async with Broker(broker_folder) as broker:
        where = ["--mosquitto", str(broker.files.root), "--pid-file", str(broker.pid_file)]
        assert "EDGEVOICE" not in provision("robot", "--local", *where)
        local = broker.mqtt("agent").model_copy(
            update={"username": "robot", "password_file": provision.folder / "robot" / "password"}
        )
        assert await gets_in(local)
        assert not broker.files.listeners.exists()

        assert "start it again by hand" in provision("kitchen", *where, status=1)

        assert broker.files.device_ports == (8883, 8884)
        assert (provision.folder / "kitchen" / "ca.pem").exists()


def test_further_names_of_the_broker_come_into_its_certificate(provision):
    provision("named", "--server-name", "broker.example", "--server-name", "198.51.100.7")
    mqtt = provision.mqtt("named")

    context = ssl.create_default_context(cafile=mqtt.ca_file)
    with (
        socket.create_connection(("127.0.0.1", mqtt.port)) as plain,
        context.wrap_socket(plain, server_hostname="broker.example") as secure,
    ):
        names = names_in(ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"").encode())

    assert {"broker.example", "198.51.100.7", "localhost", "127.0.0.1"} <= set(names)
