"""Devices and operators as users of the broker: made, renewed and taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

from agent.contract.terms import HTTP_CLIENT_PREFIX, is_id
from agent.contract.topics import Topics
from agent.provision.acl import add_rules, remove_rules
from agent.provision.authority import Authority
from agent.provision.credentials import Instructions, device_folder
from agent.provision.cutoff import CutOff
from agent.provision.files import ProvisionError
from agent.provision.folder import BrokerFolder
from agent.provision.host import names
from agent.provision.listeners import open_listeners
from agent.provision.passwords import new_password, remove_password, set_password, users

_OURS = ("agent", "bridge")
_OPERATOR = "operator"
_OWN_IDS = "edgevoice-"
"""What the client ids of agent and bridge begin with: on the devices' listener, a user's name is its client id."""


class Kind(str, Enum):
    """How a user of the broker proves who it is, and where from."""

    PASSWORD = "password"  # noqa: S105 - a word, no secret
    """A password, over TLS."""
    CERTIFICATE = "certificate"
    """A certificate and its key, over TLS."""
    LOCAL = "local"
    """A password, for a program on this machine: without TLS, and without a listener for devices."""


@dataclass(frozen=True)
class Known:
    """A user the broker lets in."""

    name: str
    kind: Kind
    until: date | None = None
    """The last day of a certificate."""


@dataclass(frozen=True)
class Order:
    """What a device is to get."""

    name: str
    out: Path
    """A new folder for what goes onto the device."""
    topics: Topics
    kind: Kind | None = None
    """None for what it had before; a new one gets a password."""
    server_names: tuple[str, ...] = ()
    """Further names under which devices reach the broker."""
    operator: bool = False
    """Whether it may make operators' calls."""
    rotate: bool = False
    """Whether a user of this name is wanted, and what it had before is to count no more."""


@dataclass(frozen=True)
class Untold:
    """A change of the files that a running broker has not been told of."""

    cut_off: CutOff | None = None
    """Whom a reload would leave connected."""
    restart: bool = False
    """Whether there are new listeners, which a reload would not open."""

    def tell(self, *, reload: Callable[[], str], restart: Callable[[], str]) -> str:
        """Returns how the broker was told; raises ProvisionError with what to do by hand."""
        try:
            told = restart() if self.restart else reload()
        except ProvisionError as exc:
            raise ProvisionError(f"the broker's files are as they should be, but {exc}") from exc
        if self.cut_off:
            self.cut_off()
        return told


class Devices:
    """The users of one broker, in its files; what is done holds once the broker was told."""

    def __init__(self, folder: BrokerFolder) -> None:
        self._folder = folder

    def known(self) -> list[Known]:
        """Everybody the broker lets in. Raises ProvisionError."""
        by_password = [Known(name, Kind.PASSWORD) for name in users(self._folder.passwords)]
        authority = self._authority()
        valid = {one.device: one.until for one in authority.issued if not one.revoked} if authority else {}
        return [*by_password, *(Known(name, Kind.CERTIFICATE, until) for name, until in valid.items())]

    def make(self, order: Order) -> tuple[Instructions, Untold]:
        """Makes a user, or new credentials for one. Raises ProvisionError."""
        _check_name(order)
        self._folder.check()
        before = next((one.kind for one in self.known() if one.name == order.name), None)
        if before and not order.rotate:
            raise ProvisionError(f"{order.name} exists, with a {before.value}: --rotate gives it a new one")
        if order.rotate and not before:
            raise ProvisionError(f"there is no user {order.name} to give something new to")
        kind = order.kind or self._as_before(before)
        restart = kind is not Kind.LOCAL and open_listeners(self._folder, order.server_names)
        instructions = self._instructions(order, kind)
        return instructions, Untold(self._write(order, instructions), restart=restart)

    def revoke(self, name: str) -> Untold:
        """Takes a user's access away. Raises ProvisionError."""
        if name in _OURS or not is_id(name):
            raise ProvisionError(f"{name} is no device or operator")
        self._folder.check()
        if name not in {one.name for one in self.known()}:
            raise ProvisionError(f"there is no user {name}; `edgevoice provision --list` shows those there are")
        remove_rules(self._folder.acl, name)  # the next one of that name is another one
        remove_password(self._folder.passwords, name)
        return Untold(self._cut_off(name, self._serials(name)))

    def _write(self, order: Order, how: Instructions) -> CutOff | None:
        """Writes the device's folder and the broker's files; whoever has an earlier certificate is to be cut off."""
        earlier = self._serials(order.name)
        with device_folder(order.out) as write:
            if how.tls:
                write("ca.pem", self._folder.ca.read_bytes())
            if how.certificate:
                identity = Authority(self._folder.authority).device(order.name)
                write("device.pem", identity.certificate)
                write("device.key", identity.key)
                remove_password(self._folder.passwords, order.name)
            else:
                password = new_password()
                write("password", f"{password}\n".encode())
                for program in ("mosquitto_pub", "mosquitto_rr", "mosquitto_sub"):
                    write(program, how.client_options(password).encode())
                set_password(self._folder.passwords, order.name, password)
            if order.operator:
                add_rules(self._folder.acl, order.name, _operator_rules(order.name, order.topics.base))
        return self._cut_off(order.name, earlier)

    def _as_before(self, kind: Kind | None) -> Kind:
        if kind is Kind.PASSWORD and not self._folder.listeners.exists():
            return Kind.LOCAL
        return kind or Kind.PASSWORD

    def _instructions(self, order: Order, kind: Kind) -> Instructions:
        if kind is Kind.LOCAL:
            host, port = "127.0.0.1", self._folder.local_port
        else:
            host = next(iter((*order.server_names, *names())))
            port = self._folder.device_ports[kind is Kind.CERTIFICATE]
        return Instructions(
            user=order.name,
            host=host,
            port=port,
            folder=order.out,
            topics=order.topics,
            tls=kind is not Kind.LOCAL,
            certificate=kind is Kind.CERTIFICATE,
        )

    def _authority(self) -> Authority | None:
        return Authority(self._folder.authority) if self._folder.authority.exists() else None

    def _serials(self, name: str) -> list[str]:
        authority = self._authority()
        return [one.serial for one in authority.valid(name)] if authority else []

    def _cut_off(self, name: str, serials: list[str]) -> CutOff | None:
        authority = self._authority()
        return CutOff(self._folder, authority, device=name, serials=serials) if authority and serials else None


def _check_name(order: Order) -> None:
    name = order.name
    if not is_id(name):
        raise ProvisionError(f"{name!r} is no name: 1 to 64 letters, digits, `_`, `.` and `-`, a level of its topics")
    if name in _OURS or name.startswith((HTTP_CLIENT_PREFIX, _OWN_IDS)):
        raise ProvisionError(f"{name} is a name of EdgeVoice's own: choose another")
    if name == _OPERATOR and not order.operator:
        raise ProvisionError(f"the rules make {name} an operator: say so with --operator, or choose another name")


def _operator_rules(name: str, base: str) -> Iterable[str]:
    return (f"topic write {base}/+/admin/{name}/#", f"topic read {base}/clients/+/status")
