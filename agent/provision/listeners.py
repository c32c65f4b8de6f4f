"""The broker's listeners for devices, and the certificates they need."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from agent.provision.authority import Authority, names_in
from agent.provision.conf import shipped
from agent.provision.files import cannot, replace
from agent.provision.folder import SHIPPED_AT, BrokerFolder
from agent.provision.host import names


def open_listeners(folder: BrokerFolder, server_names: Iterable[str] = (), *, conf: str | None = None) -> bool:
    """Makes what is missing; whether the broker must be started again, because it has new listeners.

    `server_names` are further names of the broker's, beside those this machine knows; `conf` takes the place of the
    shipped one. Raises ProvisionError.
    """
    authority = Authority(folder.authority)
    _open_folder(folder)
    _certify(folder, authority, server_names)
    new = not folder.listeners.exists()
    if new:
        text = (conf or shipped("devices.conf")).replace(f"{SHIPPED_AT}/", f"{folder.root}/")
        replace(folder.listeners, text, mode=0o644)
    return new


def publish_revocations(folder: BrokerFolder, authority: Authority) -> None:
    """Writes the list of revoked certificates where the broker reads it. Raises ProvisionError."""
    _write(folder, "revoked.pem", authority.revocations(), mode=0o644)


def _open_folder(folder: BrokerFolder) -> None:
    try:
        folder.devices.mkdir(mode=0o755, exist_ok=True)  # a device's owner may fetch ca.pem
    except OSError as exc:
        raise cannot("made", folder.devices, exc) from exc


def _certify(folder: BrokerFolder, authority: Authority, further: Iterable[str]) -> None:
    certificate = folder.devices / "server.pem"
    before = names_in(certificate.read_bytes()) if certificate.exists() else []
    if not before or set(further) - set(before):
        identity = authority.server(dict.fromkeys([*further, *before, *names()]))
        _write(folder, "server.key", identity.key, mode=0o640)
        _write(folder, "server.pem", identity.certificate, mode=0o644)
    if not folder.ca.exists():
        _write(folder, folder.ca.name, authority.certificate, mode=0o644)
    if not (folder.devices / "revoked.pem").exists():
        publish_revocations(folder, authority)


def _write(folder: BrokerFolder, name: str, content: bytes, *, mode: int) -> None:
    path = folder.devices / name
    replace(path, content, mode=mode)
    if os.geteuid() == 0:
        _let_broker_read(path, like=folder.passwords)


def _let_broker_read(path: Path, *, like: Path) -> None:
    """The broker, which owns its file of passwords or reads it as a group, is the group of `path`."""
    os.chown(path, 0, like.stat().st_gid)
