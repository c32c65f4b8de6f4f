"""A Mosquitto of our own on the loopback: the shipped files with a free port, a run folder and fresh passwords."""

from __future__ import annotations

import logging
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from typing_extensions import Self

from agent.errors import UserError
from agent.mqtt.settings import MqttSettings
from agent.provision.conf import ports, render, shipped
from agent.provision.folder import BrokerFolder
from agent.stack.child import Child, ChildError
from agent.stack.ports import HOST, free_port, until_listening

logger = logging.getLogger(__name__)

USERS = ("agent", "bridge", "demo")
_UNREADABLE = "Couldn't open database"
_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"


class Broker:
    """Mosquitto as shipped, in a folder of its own; may be killed and started again with all it remembers."""

    def __init__(
        self,
        folder: Path,
        *,
        users: Sequence[str] = USERS,
        operators: Sequence[str] = (),
        port: int | None = None,
        directives: Mapping[str, str] | None = None,
        devices: bool = False,
    ) -> None:
        """`folder` is a `run_folder()`; `port` None takes a free one; `directives` replace those of the conf.

        `operators` are users, too; each gets its lines in the ACL. With `devices` it has the listeners for them, as
        `edgevoice provision` makes them, on free ports.
        """
        self.port = port or free_port()
        self.files = BrokerFolder(folder / "broker")
        self.pid_file = folder / "broker.pid"
        self._devices = devices
        self._secrets = folder / "secrets"
        self._users = tuple(dict.fromkeys((*users, *operators)))
        self._operators = operators
        self._directives = directives or {}
        self._child = Child(
            "mosquitto",
            [_program("mosquitto"), "-c", str(self.files.conf)],
            log=folder / "broker.log",
            user=_broker_user(),
            port=self.port,
            ready=partial(until_listening, self.port),
            ready_timeout_s=20.0,
            grace_s=10.0,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The broker's process; ChildError where it does not run."""
        return self._child.pid

    def mqtt(self, user: str, *, protocol: Literal["5", "3.1.1"] = "5") -> MqttSettings:
        """How to reach it as `user`."""
        password_file = self.password_file(user)
        return MqttSettings(host=HOST, port=self.port, username=user, password_file=password_file, protocol=protocol)

    def device_mqtt(self, user: str, *, protocol: Literal["5", "3.1.1"] = "5") -> MqttSettings:
        """How to reach it as `user` on the devices' listener for passwords."""
        with_password, _ = self.files.device_ports
        tls = {"port": with_password, "tls": True, "ca_file": self.files.ca}
        return self.mqtt(user, protocol=protocol).model_copy(update=tls)

    def password_file(self, user: str) -> Path:
        """The file, readable by us alone, that holds the password of `user`."""
        return self._secrets / user / "password"

    def client_options(self, user: str) -> Path:
        """As `XDG_CONFIG_HOME`, it makes mosquitto_pub, _sub and _rr find this broker and the password of `user`."""
        return self._secrets / user

    async def start(self) -> None:
        """Returns once it accepts connections; UserError with its last words where it does not.

        A database that it cannot load is moved aside: else it would not start again, ever.
        """
        if not self.files.root.exists():
            self._write_files()
        try:
            await self._child.start()
        except ChildError as exc:
            if _UNREADABLE not in exc.last_words or not self._database.exists():
                raise
            aside = self._database.rename(self._database.with_suffix(".db.broken"))
            logger.warning("mosquitto could not load what it had stored, which is now %s", aside)
            await self._child.start()
        self.pid_file.write_text(f"{self.pid}\n", encoding="ascii")

    async def stop(self) -> None:
        """Ends it in order: what it holds is written to its folder."""
        await self._child.stop()

    async def kill(self) -> None:
        """Ends it as a power cut would."""
        await self._child.kill()

    async def wait(self) -> None:
        """Returns only by ChildError, once it has ended by itself."""
        await self._child.wait()

    @property
    def _database(self) -> Path:
        return self.files.root / "data" / "mosquitto.db"

    def _write_files(self) -> None:
        files = self.files
        for folder in (self._database.parent, files.included):
            folder.mkdir(parents=True)
        places = {
            **self._directives,
            "listener": f"{self.port} {HOST}",
            "password_file": str(files.passwords),
            "acl_file": str(files.acl),
            "persistence_location": f"{self._database.parent}/",
            "include_dir": str(files.included),
        }
        files.conf.write_text(render(shipped("mosquitto.conf"), places), encoding="utf-8")
        files.acl.write_text(_rules(self._operators), encoding="utf-8")
        self._write_passwords(files.passwords)
        _hand_over(files.root)
        if self._devices:
            _open_to_devices(files)

    def _write_passwords(self, hashed: Path) -> None:
        self._secrets.mkdir(mode=0o700)
        clear = {user: secrets.token_hex(16) for user in self._users}
        for user, password in clear.items():
            self.client_options(user).mkdir()
            _write_secret(self.password_file(user), f"{password}\n")
            for program in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr"):
                options = f"-h {HOST}\n-p {self.port}\n-u {user}\n-P {password}\n"
                _write_secret(self.client_options(user) / program, options)
        _write_secret(hashed, "".join(f"{user}:{password}\n" for user, password in clear.items()))
        # By file, never by argument: anyone on the machine may read a process's arguments.
        subprocess.run([_program("mosquitto_passwd"), "-U", str(hashed)], check=True, capture_output=True)


def _rules(operators: Sequence[str]) -> str:
    """The shipped ACL, and a line for each operator that it does not know."""
    rules = shipped("acl")
    lines = ((user, f"topic write edgevoice/v1/+/admin/{user}/#") for user in operators)
    return rules + "".join(f"\nuser {user}\n{line}\n" for user, line in lines if line not in rules)


def _open_to_devices(files: BrokerFolder) -> None:
    # Only here, because certificates need a package that not everybody has.
    from agent.provision.listeners import open_listeners  # noqa: PLC0415

    conf = shipped("devices.conf")
    for port in ports(conf):
        conf = conf.replace(f"listener {port}\n", f"listener {free_port()} {HOST}\n")
    open_listeners(files, conf=conf)


def _program(name: str) -> str:
    # Debian keeps the broker in /usr/sbin, which is not on everybody's PATH.
    path = shutil.which(name, path=_SBIN)
    if path is None:
        raise UserError(f"{name} is not installed: sudo apt-get install mosquitto")
    return path


def _broker_user() -> str | None:
    """Whom the broker runs as: its own user where we are root, else ourselves."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("mosquitto").pw_name
    return "nobody"


def _hand_over(folder: Path) -> None:
    user = _broker_user()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if user:
            shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
