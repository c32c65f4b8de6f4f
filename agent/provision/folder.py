"""Where the files of a broker are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.provision.conf import ports, values
from agent.provision.files import ProvisionError, cannot, read

SHIPPED_AT = "/etc/mosquitto"
"""Where the shipped files say they are."""
_LISTENERS = 2


@dataclass(frozen=True)
class BrokerFolder:
    """One folder with the files of `mosquitto/` in it."""

    root: Path = Path(SHIPPED_AT)

    @property
    def conf(self) -> Path:
        """What the broker is started with."""
        return self.root / "mosquitto.conf"

    @property
    def acl(self) -> Path:
        """Its rules."""
        return self.root / "acl"

    @property
    def passwords(self) -> Path:
        """Its users, and the hashes of their passwords."""
        return self.root / "passwords"

    @property
    def included(self) -> Path:
        """Folder of what the conf includes."""
        return self.root / "conf.d"

    @property
    def listeners(self) -> Path:
        """The conf of the devices' listeners."""
        return self.included / "edgevoice-devices.conf"

    @property
    def devices(self) -> Path:
        """Folder of what the devices' listeners are made from; the broker reads it."""
        return self.root / "devices"

    @property
    def ca(self) -> Path:
        """The authority's certificate, which devices trust."""
        return self.devices / "ca.pem"

    @property
    def authority(self) -> Path:
        """Folder of the authority's key and of what it has issued; for root alone."""
        return self.root / "authority"

    @property
    def local_port(self) -> int:
        """The port for programs on this machine. Raises ProvisionError where the conf names none."""
        found = ports(read(self.conf))
        if not found:
            raise ProvisionError(f"{self.conf} has no `listener`; install the one of EdgeVoice, mosquitto/README.md")
        return found[0]

    @property
    def device_ports(self) -> tuple[int, int]:
        """The ports for devices: with a password, with a certificate. Raises ProvisionError where there are none."""
        found = ports(read(self.listeners))
        if len(found) != _LISTENERS:
            raise ProvisionError(f"{self.listeners} has not the two listeners it is made with; delete it and try again")
        return found[0], found[1]

    def check(self) -> None:
        """Raises ProvisionError where this is no folder that we may provision from."""
        for file in (self.conf, self.acl, self.passwords):
            read(file)
        for folder in (self.root, self.included):
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                raise cannot(
                    "written", folder, PermissionError(13, "Permission denied") if folder.exists() else _gone()
                )
        if f"{self.included}" not in {value.rstrip("/") for value in values(read(self.conf), "include_dir")}:
            raise ProvisionError(f"{self.conf} does not include {self.included}: add `include_dir {self.included}`")


def _gone() -> OSError:
    return FileNotFoundError(2, "No such folder; install the broker's files first, mosquitto/README.md")
