"""Ends the connection of a device whose certificate was revoked.

Mosquitto reads its list of revoked certificates again when it is told to, and looks at it only when somebody connects:
who is connected stays. But of two connections with one client id it keeps the newer one, and on the devices' listener
the user's name is the client id. So we connect in the device's place, once the list is in force.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agent.mqtt.login import refusals
from agent.mqtt.settings import MqttSettings
from agent.provision.authority import Authority, Identity
from agent.provision.files import ProvisionError
from agent.provision.folder import BrokerFolder
from agent.provision.listeners import publish_revocations

_ANSWER_S = 1.0
"""A broker on this very machine; one that refuses a certificate hangs up without a word."""
_PATIENCE_S = 10.0
_PAUSE_S = 0.1
_HOST = "127.0.0.1"
_BY_HAND = "sudo systemctl restart mosquitto"


class CutOff:
    """Takes back certificates of one device; what is connected with one of them is cut off once it is called."""

    def __init__(self, folder: BrokerFolder, authority: Authority, *, device: str, serials: Iterable[str]) -> None:
        """Writes the list; then the broker must be told to read it."""
        self._folder = folder
        self._authority = authority
        self._device = device
        self._canary = authority.device(device)
        """Revoked with the others: where it is refused, they are."""
        self._revoke(*serials, self._canary.serial)

    def __call__(self) -> None:
        """Raises ProvisionError where the broker still lets it in, or does not answer."""
        last = self._authority.device(self._device)
        try:
            with tempfile.TemporaryDirectory() as place:
                asyncio.run(self._cut_off(Path(place), last))
        finally:
            self._revoke(last.serial)

    async def _cut_off(self, place: Path, last: Identity) -> None:
        canary = self._as(place / "canary", self._canary)
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(_until_refused(canary), _PATIENCE_S)
        except asyncio.TimeoutError as exc:
            raise ProvisionError(f"the broker still lets {self._device} in: {_BY_HAND}") from exc
        if not await _gets_in(self._as(place / "last", last)):
            message = f"no broker answers on port {canary.port}, so {self._device} could not be disconnected"
            raise ProvisionError(f"{message}: where one runs, {_BY_HAND}")

    def _revoke(self, *serials: str) -> None:
        self._authority.revoke(serials)
        publish_revocations(self._folder, self._authority)

    def _as(self, place: Path, identity: Identity) -> MqttSettings:
        place.mkdir(mode=0o700)
        certificate, key = place / "device.pem", place / "device.key"
        certificate.write_bytes(identity.certificate)
        key.write_bytes(identity.key)
        _, port = self._folder.device_ports
        return MqttSettings(
            host=_HOST, port=port, tls=True, ca_file=self._folder.ca, cert_file=certificate, key_file=key
        )


async def _until_refused(mqtt: MqttSettings) -> None:
    while await _gets_in(mqtt):  # noqa: ASYNC110 - a broker tells nobody when it has reloaded
        await asyncio.sleep(_PAUSE_S)


async def _gets_in(mqtt: MqttSettings) -> bool:
    [refusal] = await refusals([mqtt], timeout_s=_ANSWER_S)
    return refusal is None
