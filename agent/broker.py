"""A Mosquitto of our own on the loopback: the shipped files with a free port, a run folder and fresh passwords."""

from __future__ import annotations

import asyncio
import os
import pwd
import random
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from agent.child import Child, ChildError

HOST = "127.0.0.1"
USERS = ("agent", "bridge", "demo")
_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"
_READY_TIMEOUT_S = 20.0


class Broker:
    """Mosquitto as shipped, in a folder of its own; may be killed and started again with all it remembers."""

    def __init__(
        self,
        folder: Path,
        *,
        users: Sequence[str] = USERS,
        port: int | None = None,
        directives: Mapping[str, str] | None = None,
    ) -> None:
        """`folder` is a `run_folder()`; `port` None takes a free one; `directives` replace those of the shipped conf."""
        self.port = port or free_port()
        self.log = folder / "broker.log"
        self._folder = folder / "broker"
        self._secrets = folder / "secrets"
        self._users = users
        self._directives = directives or {}
        self._child: Child | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The broker's process; ChildError where it does not run."""
        return self._started.pid

    def password_file(self, user: str) -> Path:
        """The file, readable by us alone, that holds the password of `user`."""
        return self._secrets / user / "password"

    def client_options(self, user: str) -> Path:
        """As `XDG_CONFIG_HOME`, it makes mosquitto_pub, _sub and _rr find this broker and the password of `user`."""
        return self._secrets / user

    async def start(self) -> None:
        """Returns once it accepts connections; ChildError with its last words where it does not."""
        if self._child is None:
            conf = self._write_files()
            argv = [_program("mosquitto"), "-c", str(conf)]
            self._child = Child("mosquitto", argv, log=self.log, user=_broker_user(), grace_s=10.0)
        check_free(self.port)
        await self._child.start()
        try:
            await self._child.until(self._accepts(), timeout_s=_READY_TIMEOUT_S)
        except BaseException:
            await self._child.kill()
            raise

    async def stop(self) -> None:
        """Ends it in order: what it holds is written to its folder."""
        if self._child:
            await self._child.stop()

    async def kill(self) -> None:
        """Ends it as a power cut would."""
        await self._started.kill()

    async def wait(self) -> None:
        """Returns only by ChildError, once it has ended by itself."""
        await self._started.wait()

    @property
    def _started(self) -> Child:
        if self._child is None:
            raise ChildError("mosquitto is not running")
        return self._child

    def _write_files(self) -> Path:
        data = self._folder / "data"
        data.mkdir(parents=True)
        conf, acl, passwords = (self._folder / name for name in ("mosquitto.conf", "acl", "passwords"))
        places = {
            **self._directives,
            "listener": f"{self.port} {HOST}",
            "password_file": str(passwords),
            "acl_file": str(acl),
            "persistence_location": f"{data}/",
        }
        conf.write_text(render(shipped("mosquitto.conf").read_text(encoding="utf-8"), places), encoding="utf-8")
        acl.write_text(shipped("acl").read_text(encoding="utf-8"), encoding="utf-8")
        self._write_passwords(passwords)
        _hand_over(self._folder)
        return conf

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

    async def _accepts(self) -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.02)


def shipped(name: str) -> Path:
    """A file of `mosquitto/`: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "shipped" / "mosquitto" / name
    return installed if installed.is_file() else package.parent / "mosquitto" / name


def render(conf: str, places: Mapping[str, str]) -> str:
    """`conf` with the value of each directive in `places`; all else, comments too, as it is."""
    return "".join(_placed(line, places) for line in conf.splitlines(keepends=True))


def run_folder() -> Path:
    """A new folder below which another user can be given one; the caller removes it."""
    parents = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes the name
    parent = next((path for path in parents if _may_be_entered(Path(path))), None)
    folder = Path(tempfile.mkdtemp(prefix="edgevoice-", dir=parent))
    folder.chmod(0o711)
    return folder


def free_port() -> int:
    """A loopback port nobody listens on."""
    # Below the range the kernel gives to outgoing connections: one of those could otherwise sit on the port while the
    # broker is down, even a client's own attempt to reach it again.
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(ChildError):
            check_free(port)
            return port
    raise ChildError("no free port on the loopback between 20000 and 32000")


def check_free(port: int) -> None:
    """ChildError where somebody listens on `port`: we would take him for our child, who could not start."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            raise ChildError(f"port {port} of {HOST} cannot be used: {exc.strerror}") from exc


def _placed(line: str, places: Mapping[str, str]) -> str:
    directive = line.partition(" ")[0]
    return f"{directive} {places[directive]}\n" if directive in places else line


def _program(name: str) -> str:
    # Debian keeps the broker in /usr/sbin, which is not on everybody's PATH.
    path = shutil.which(name, path=_SBIN)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: sudo apt-get install mosquitto")
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


def _may_be_entered(folder: Path) -> bool:
    return folder.is_dir() and all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.resolve().parents))
