"""The broker: reachable, open to our users, and closed to everybody else."""

from __future__ import annotations

import asyncio
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.access import agent_rules, caller_rules
from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.identity import client_ids
from agent.doctor.reach import reach
from agent.doctor.site import BridgeSettings, Site
from agent.mqtt.login import refusals
from agent.mqtt.settings import MqttSettings
from agent.provision.api_keys import stored_keys
from agent.provision.files import ProvisionError

_SETTINGS = {"agent": "EDGEVOICE_MQTT", "bridge": "EDGEVOICE_BRIDGE_MQTT"}


def check(site: Site) -> Iterator[Finding]:
    """From the host's name to the rules; ends where the agent could not go on either."""
    mqtt = site.settings.mqtt
    if fault := reach(mqtt):
        yield fault
        return
    trusted = ", and its certificate is trusted" if mqtt.tls else ""
    yield ok("broker", f"{mqtt.host}:{mqtt.port} can be reached{trusted}")
    users = {"agent": mqtt}
    if site.bridge:
        if why_not := _not_at_hand(site.bridge.mqtt, mqtt):
            yield ok("broker login", f"the bridge's user was not tried: {why_not}")
        else:
            users["bridge"] = site.bridge.mqtt
    yield from _secrets(users)
    everybody = {**users, "nobody": _nobody(mqtt)}
    refused = dict(zip(everybody, asyncio.run(refusals(everybody.values())), strict=True))
    for part, user in users.items():
        yield _login(part, user, refused[part])
    if refused["agent"]:
        return
    if refused["nobody"] is None:
        yield warn("broker login", "anybody may enter without a name", _shut_out())
    yield from client_ids(site, mqtt)
    topics = site.settings.topics
    yield asyncio.run(agent_rules(mqtt, topics))
    if site.bridge and "bridge" in users and not refused["bridge"]:
        keys = _keys(site.bridge)
        yield asyncio.run(caller_rules(site.bridge.mqtt, site.bridge.client, topics, mqtt, keys=keys))


def _keys(bridge: BridgeSettings) -> list[str]:
    """The clients of the bridge's API keys; none where this user may not read them."""
    try:
        return [key.client for key in stored_keys(bridge.keys_path)]
    except (ProvisionError, OSError):
        return []


def _not_at_hand(bridge: MqttSettings, agent: MqttSettings) -> str | None:
    if (bridge.host, bridge.port) != (agent.host, agent.port):
        return f"it uses another broker, {bridge.host}:{bridge.port}"
    if bridge.username == agent.username:
        return "it is the agent's"
    try:
        bridge.check_files()
    except OSError as exc:
        return f"{exc.filename} cannot be read: {exc.strerror}"
    if bridge.password is None and not bridge.password_file and not bridge.cert_file:
        return "its password is not among the settings"
    return None


def _nobody(mqtt: MqttSettings) -> MqttSettings:
    names = ("username", "password", "password_file", "cert_file", "key_file")
    return mqtt.model_copy(update=dict.fromkeys(names))


def _secrets(users: dict[str, MqttSettings]) -> Iterator[Finding]:
    for user in users.values():
        for file in (user.password_file, user.key_file):
            if file and file.stat().st_mode & stat.S_IROTH:
                yield warn(
                    "broker login", f"anybody on this machine may read {file}", f"chmod o= {shlex.quote(str(file))}"
                )


def _login(part: str, user: MqttSettings, refusal: str | None) -> Finding:
    name = f"user {user.username}" if user.username else "a client without a user name"
    if refusal is None:
        return ok("broker login", f"{name} gets in")
    if user.username and user.read_password() is None and not user.cert_file:
        file = f"{_SETTINGS[part]}__PASSWORD_FILE=/etc/edgevoice/{part}.password"
        return fail("broker login", f"{name} is kept out: {refusal}; it has no password", file)
    if not user.username and not user.cert_file:
        return fail("broker login", f"{name} is kept out: {refusal}", f"{_SETTINGS[part]}__USERNAME={part}")
    change = f"sudo mosquitto_passwd /etc/mosquitto/passwords {shlex.quote(user.username or '')}"
    fix = f"{change} && sudo systemctl reload mosquitto   # the same as in {_source(part, user)}"
    return fail("broker login", f"{name} is kept out: {refusal}", fix)


def _source(part: str, user: MqttSettings) -> Path | str:
    return user.password_file or f"{_SETTINGS[part]}__PASSWORD"


def _shut_out() -> str:
    return "sudo install -m 644 mosquitto/mosquitto.conf /etc/mosquitto/ && sudo systemctl restart mosquitto"
