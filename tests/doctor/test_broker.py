"""What the broker check says of a real Mosquitto: good, closed, too open, and everything in between."""

import asyncio
import shutil
import socket
import subprocess

import pytest
from pydantic import SecretStr

from agent.contract.topics import Topics
from agent.doctor import broker as check
from agent.doctor import identity
from agent.doctor.finding import Level
from agent.doctor.site import Site
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Subscription
from agent.provision.acl import add_rules
from agent.provision.api_keys import add_key, broker_rules
from agent.provision.reload import reload_broker
from agent.settings import Settings
from agent.stack.broker import USERS, Broker
from agent.stack.ports import free_port
from bridge.settings import BridgeSettings

pytestmark = [pytest.mark.anyio, pytest.mark.once]


async def examined(mqtt, bridge=None, **changes):
    site = Site(Settings(mqtt=mqtt), BridgeSettings(mqtt=bridge) if bridge else None, **changes)
    return await asyncio.to_thread(list, check.check(site))


def levels(findings):
    return [(finding.name, finding.level.value) for finding in findings]


async def ruled(folder, change):
    """A broker whose rules are the shipped ones after `change`."""
    broker = Broker(folder, users=USERS)
    await broker.start()
    await broker.stop()
    acl = folder / "broker" / "acl"
    text = change(acl.read_text())
    assert text != acl.read_text()
    acl.write_text(text)
    return broker


async def test_a_broker_as_shipped_has_nothing_to_mend(broker):
    findings = await examined(broker.mqtt("agent"), broker.mqtt("bridge"))

    assert levels(findings) == [
        ("broker", "ok"),
        ("broker login", "ok"),
        ("broker login", "ok"),
        ("broker ids", "ok"),
        ("broker rules", "ok"),
        ("broker rules", "ok"),
    ]
    agent, bridge = findings[-2:]
    for what in ("read requests", "write replies", "hear its own probe", "hear of devices"):
        assert what in agent.message.partition("may not")[0]
    for what in ("ask", "read its replies", "say that it is there"):
        assert what in bridge.message.partition("may not")[0]
    for what in ("read the replies to others", "speak for another device", "control the broker"):
        assert what in agent.message.partition("may not")[2]
        assert what in bridge.message.partition("may not")[2]


async def test_mqtt_3_1_1_is_examined_as_well(broker):
    findings = await examined(broker.mqtt("agent", protocol="3.1.1"))

    assert {finding.level for finding in findings} == {Level.OK}


async def test_nobody_else_hears_of_it(broker):
    heard: list[str] = []
    topics = Topics()
    filters = (topics.all_requests, topics.all_admin, topics.status, topics.info, topics.state)
    agent = MqttClient(
        broker.mqtt("agent"),
        client_id="a-live-agent",
        on_message=lambda message: heard.append(message.topic),
        subscriptions=tuple(Subscription(one, retained=True) for one in filters),
    )
    bridge = MqttClient(
        broker.mqtt("bridge"),
        client_id="a-live-bridge",
        on_message=lambda message: heard.append(message.topic),
        subscriptions=(Subscription(topics.all_replies("bridge")), Subscription(topics.status, retained=True)),
    )
    async with agent, bridge:
        await agent.wait_connected(5)
        await bridge.wait_connected(5)

        await examined(broker.mqtt("agent"), broker.mqtt("bridge"))

        assert agent.connected
        assert bridge.connected
    assert heard == []


async def test_a_closed_port(broker):
    (found,) = await examined(broker.mqtt("agent").model_copy(update={"port": free_port()}))

    assert found.level is Level.FAIL
    assert "nobody listens" in found.message
    assert "mosquitto" in (found.fix or "")


async def test_an_unknown_host(broker):
    (found,) = await examined(broker.mqtt("agent").model_copy(update={"host": "no.such.host.invalid"}))

    assert found.level is Level.FAIL
    assert "no.such.host.invalid" in found.message
    assert (found.fix or "").startswith("getent hosts")


@pytest.mark.parametrize("password", ["wrong-password", None])
async def test_a_wrong_password_and_none_at_all(broker, password):
    secret = SecretStr(password) if password else None
    mqtt = broker.mqtt("agent").model_copy(update={"password_file": None, "password": secret})

    findings = await examined(mqtt, broker.mqtt("bridge"))

    assert levels(findings) == [("broker", "ok"), ("broker login", "fail"), ("broker login", "ok")]
    assert "user agent is kept out: refused: Not authorized" in findings[1].message
    assert ("mosquitto_passwd" if password else "EDGEVOICE_MQTT__PASSWORD_FILE=") in (findings[1].fix or "")
    assert "wrong-password" not in repr(findings)


async def test_a_password_file_that_is_not_there_or_is_everybodys(broker, tmp_path):
    mqtt = broker.mqtt("agent")
    gone = mqtt.model_copy(update={"password_file": tmp_path / "gone"})
    (found,) = await examined(gone)
    assert found.level is Level.FAIL
    assert f"{tmp_path / 'gone'} cannot be read" in found.message

    open_file = tmp_path / "open"
    shutil.copy(broker.password_file("agent"), open_file)
    open_file.chmod(0o644)
    findings = await examined(mqtt.model_copy(update={"password_file": open_file}))
    warned = [finding for finding in findings if finding.level is Level.WARN]
    assert [finding.fix for finding in warned] == [f"chmod o= {open_file}"]


async def test_what_is_no_broker_does_not_hold_it_up(broker):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mqtt = broker.mqtt("agent").model_copy(update={"port": mute.getsockname()[1]})
        findings = await examined(mqtt)

    assert levels(findings) == [("broker", "ok"), ("broker login", "fail")]
    assert "no answer" in findings[1].message


async def test_a_broker_that_lets_everybody_in(broker_folder):
    async with Broker(broker_folder, users=USERS, directives={"allow_anonymous": "true"}) as broker:
        findings = await examined(broker.mqtt("agent"))

    warned = [finding for finding in findings if finding.level is Level.WARN]
    assert ["without a name" in finding.message for finding in warned] == [True]


TOO_OPEN = "\npattern readwrite edgevoice/#\n"


async def test_rules_that_are_too_open(broker_folder):
    async with await ruled(broker_folder, lambda acl: acl + TOO_OPEN) as broker:
        findings = await examined(broker.mqtt("agent"), broker.mqtt("bridge"))

    agent, bridge = (finding for finding in findings if finding.name == "broker rules")
    assert (agent.level, bridge.level) == (Level.FAIL, Level.FAIL)
    assert "user agent: " in agent.message
    assert "read the replies to others" in agent.message
    assert "ask in another's name" in agent.message
    for fault in ("answer in an agent's place", "write an agent's status", "write an agent's templates", "administer"):
        assert fault in bridge.message
    assert "read the replies to others" in bridge.message
    assert "/acl" in (bridge.fix or "")


@pytest.mark.parametrize(
    ("rule", "user", "told"),
    [
        ("topic read edgevoice/v1/+/request/#", "agent", "may not read requests"),
        ("topic write edgevoice/v1/+/reply/#", "agent", "may not write replies"),
        ("topic readwrite edgevoice/v1/+/probe", "agent", "may not hear its own probe"),
        ("topic readwrite edgevoice/v1/+/template/+", "agent", "may not write its templates"),
        ("topic read edgevoice/v1/clients/+/status", "agent", "may not hear of devices"),
        ("pattern write edgevoice/v1/clients/%u/status", "bridge", "may not say that it is there"),
        ("pattern read edgevoice/v1/+/reply/%u/#", "bridge", "may not read its replies"),
        ("pattern write edgevoice/v1/+/request/%u/#", "bridge", "may not ask"),
    ],
)
async def test_rules_that_are_too_narrow(broker_folder, rule, user, told):
    own_rules = {rule, rule.replace("pattern", "topic").replace("%u", user)}

    def without(acl):
        return "\n".join(line for line in acl.splitlines() if line not in own_rules)

    async with await ruled(broker_folder, without) as broker:
        findings = await examined(broker.mqtt("agent"), broker.mqtt("bridge"))

    failed = [finding for finding in findings if finding.level is Level.FAIL]
    assert f"user {user}: it {told}" in " ".join(finding.message for finding in failed)


async def test_the_rules_of_api_keys(broker, tmp_path):
    add_key(tmp_path / "keys", "website")
    bridge = BridgeSettings(mqtt=broker.mqtt("bridge"), keys_file=tmp_path / "keys")
    site = Site(Settings(mqtt=broker.mqtt("agent")), bridge)

    *_, lacking = await asyncio.to_thread(list, check.check(site))
    assert lacking.level is Level.FAIL
    assert "it may not ask as http-website" in lacking.message
    assert "it may not read its replies as http-website" in lacking.message

    add_rules(broker.files.acl, "bridge", broker_rules("http-website", base="edgevoice/v1"))
    await asyncio.to_thread(reload_broker, broker.pid_file)
    *_, given = await asyncio.to_thread(list, check.check(site))
    assert given.level is Level.OK
    assert "ask as http-website" in given.message


async def test_a_port_without_ids_of_its_own_that_others_reach(broker, monkeypatch):
    # As if the loopback, the only place this broker listens on, were an address that others reach.
    monkeypatch.setattr(identity, "addresses", lambda: ["127.0.0.1"])

    findings = await examined(broker.mqtt("agent"))

    (warned,) = [finding for finding in findings if finding.level is Level.WARN]
    assert "can take the agent's session" in warned.message
    assert "127.0.0.1   # in /etc/mosquitto/mosquitto.conf" in (warned.fix or "")


@pytest.mark.parametrize(("own", "level"), [("true", Level.OK), ("false", Level.WARN)])
async def test_client_ids_on_the_listener_for_devices(broker_folder, tmp_path, own, level):
    broker = Broker(broker_folder, devices=True)
    await broker.start()
    await broker.stop()
    conf = broker.files.listeners
    conf.write_text(conf.read_text().replace("use_username_as_clientid true", f"use_username_as_clientid {own}"))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "mosquitto").symlink_to(broker.files.root)

    async with broker:
        findings = await examined(broker.mqtt("agent"), root=tmp_path)

    found = [finding for finding in findings if "for devices" in finding.message]
    assert [finding.level for finding in found] == [level]


async def test_rules_that_name_the_agent(broker_folder):
    def pinned(acl):
        return acl.replace("topic read edgevoice/v1/+/", "topic read edgevoice/v1/orin/").replace(
            "topic write edgevoice/v1/+/", "topic write edgevoice/v1/orin/"
        )

    async with await ruled(broker_folder, pinned) as broker:
        findings = await examined(broker.mqtt("agent"), broker.mqtt("bridge"))

    assert {finding.level for finding in findings} == {Level.OK}


async def test_no_tls_where_tls_is_asked_for(broker):
    (found,) = await examined(broker.mqtt("agent").model_copy(update={"tls": True}))

    assert found.level is Level.FAIL
    assert "no TLS" in found.message


@pytest.fixture
def certificate(broker_folder):
    """A certificate of 127.0.0.1 that nobody has signed but itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    files = broker_folder / "cert.pem", broker_folder / "key.pem"
    argv = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext".split()
    made = [*argv, "subjectAltName=IP:127.0.0.1", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(made, check=True, capture_output=True)
    for file in files:
        file.chmod(0o644)
    return files


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(broker_folder, certificate):
    cert, key = certificate
    directives = {"max_keepalive": f"120\ncertfile {cert}\nkeyfile {key}"}  # below the listener
    async with Broker(broker_folder, users=USERS, directives=directives) as broker:
        mqtt = broker.mqtt("agent").model_copy(update={"tls": True, "ca_file": cert})

        findings = await examined(mqtt)
        assert {finding.level for finding in findings} == {Level.OK}
        assert "trusted" in findings[0].message

        (stranger,) = await examined(mqtt.model_copy(update={"ca_file": None}))
        assert stranger.level is Level.FAIL
        assert "not trusted" in stranger.message

        (nonsense,) = await examined(mqtt.model_copy(update={"ca_file": broker.password_file("agent")}))
        assert nonsense.level is Level.FAIL
        assert "no usable certificates" in nonsense.message


async def test_the_command_with_a_wrong_password_fails(broker, monkeypatch, doctor):
    monkeypatch.setenv("EDGEVOICE_MQTT__PORT", str(broker.port))
    monkeypatch.setenv("EDGEVOICE_MQTT__PASSWORD", "wrong-password")

    status, findings = doctor()

    assert status == 1
    assert [f["level"] for f in findings if f["name"] == "broker login" and "user agent" in f["message"]] == ["fail"]
