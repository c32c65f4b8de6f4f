"""Whether a client can take the session of another by its client id: the agent's, with all that waits in it."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress

from agent.doctor.finding import Finding, ok, warn
from agent.doctor.site import Site
from agent.doctor.trial import User
from agent.mqtt.message import BrokerUnavailable
from agent.mqtt.settings import MqttSettings
from agent.provision.files import ProvisionError
from agent.provision.folder import SHIPPED_AT, BrokerFolder
from agent.provision.host import addresses

_NAME = "broker ids"
_CONNECT_S = 0.5
_LOGIN_S = 2.0
_REPLACED_S = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = "127.0.0.1"


def client_ids(site: Site, mqtt: MqttSettings) -> Iterator[Finding]:
    """Looks at the listener for this machine, and at the one for devices, where they are on this machine."""
    if mqtt.host not in _LOOPBACK:
        return
    for address in addresses():
        if _is_open(address, mqtt.port):
            message = f"port {mqtt.port}, where clients choose their ids, can be reached at {address}: whoever knows a"
            fix = f"listener {mqtt.port} {_HOST}   # in /etc/mosquitto/mosquitto.conf, then sudo systemctl restart"
            yield warn(_NAME, f"{message} password can take the agent's session", f"{fix} mosquitto")
            break
    else:
        yield ok(_NAME, f"port {mqtt.port}, where clients choose their ids, is for this machine only")
    devices = _devices(site, mqtt)
    if devices:
        yield asyncio.run(_ids_are_users(devices))


def _is_open(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=_CONNECT_S):
        return True
    return False


def _devices(site: Site, mqtt: MqttSettings) -> MqttSettings | None:
    """The same user on the devices' listener; None where there is none, or not for us to see."""
    folder = BrokerFolder(site.file(SHIPPED_AT))
    try:
        port, _ = folder.device_ports
        folder.ca.open("rb").close()
    except (ProvisionError, OSError):
        return None
    return mqtt.model_copy(update={"host": _HOST, "port": port, "tls": True, "ca_file": folder.ca})


async def _ids_are_users(mqtt: MqttSettings) -> Finding:
    """Of two connections of one user the first must go, whatever ids they ask for."""
    first, second = (User(mqtt, (), f"edgevoice-doctor-{uuid.uuid4().hex[:8]}") for _ in range(2))
    async with first.client:
        try:
            await first.client.wait_connected(_LOGIN_S)
            async with second.client:
                await second.client.wait_connected(_LOGIN_S)
                replaced = await _is_lost(first)
        except BrokerUnavailable as exc:
            fix = "journalctl -u mosquitto | tail"
            return warn(_NAME, f"the devices' listener on port {mqtt.port} could not be tried: {exc}", fix)
    if replaced:
        return ok(_NAME, f"on port {mqtt.port}, for devices, nobody gets another's client id")
    fix = "use_username_as_clientid true   # below each listener of /etc/mosquitto/conf.d/edgevoice-devices.conf"
    return warn(_NAME, f"on port {mqtt.port}, for devices, anybody may take another's client id, and its session", fix)


async def _is_lost(user: User) -> bool:
    async def until_lost() -> None:
        while user.client.connected:  # noqa: ASYNC110 - the client tells of a connection, not of its end
            await asyncio.sleep(0.01)

    try:
        # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
        await asyncio.wait_for(until_lost(), _REPLACED_S)
    except asyncio.TimeoutError:
        return False
    return True
