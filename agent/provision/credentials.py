"""What goes onto a device: a folder with its secret, made once, and the words that say how to use it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Topics
from agent.provision.files import ProvisionError, cannot, replace


@contextmanager
def device_folder(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """A new folder, for its owner alone, and what writes a file into it; gone again where what follows fails.

    Raises ProvisionError where it is there already: it may hold the only copy of a secret.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError as exc:
        raise ProvisionError(f"{path} is there already: move it away, or name another with --out") from exc
    except OSError as exc:
        raise cannot("made", path, exc) from exc

    def write(name: str, content: bytes) -> None:
        replace(path / name, content, mode=0o600)

    try:
        yield write
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@dataclass(frozen=True)
class Instructions:
    """How a device reaches the broker, for people."""

    user: str
    host: str
    port: int
    folder: Path
    topics: Topics
    tls: bool
    certificate: bool

    def __str__(self) -> str:
        user, topics = self.user, self.topics
        asked, replies = topics.request(user, Operation.CHAT), topics.all_replies(user)
        lines = [
            f"broker    {self.host}, port {self.port}{self._trust()}",
            f"user      {user}, with {self._secret()}",
            f"asks on   {asked}  (JSON or plain text)",
            f"          {topics.wav(user, '{id}', ReplyMode.AUDIO)}  (a WAV)",
            f"hears     {replies}",
            f"presence  {topics.client_status(user)}  (`online`, and `offline` as its last will, retained)",
        ]
        if self.tls:
            lines.append(f"          Its client id is {user} whatever it says, so it has one connection at a time.")
        return "\n".join([*lines, "", "Try it:", f"  {self.trial()}"])

    def trial(self) -> str:
        """A command that asks a question and shows the reply; its arguments hold no secret."""
        asked, reply = self.topics.request(self.user, Operation.CHAT), self.topics.reply(self.user, "try")
        argv = ["mosquitto_rr", "-V", "5", "-q", "1", "-W", "60", *self._files(), "-t", asked, "-e", reply, "-m", "Hi"]
        if self.certificate:
            argv[1:1] = ["-h", self.host, "-p", str(self.port)]
            return shlex.join(argv)
        return f"XDG_CONFIG_HOME={shlex.quote(str(self.folder))} {shlex.join(argv)}"

    def client_options(self, password: str) -> str:
        """Mosquitto's clients find host, port, user and password in it, by XDG_CONFIG_HOME."""
        return f"-h {self.host}\n-p {self.port}\n-u {self.user}\n-P {password}\n"

    def _trust(self) -> str:
        return f", TLS; the broker is to be trusted by {self.folder / 'ca.pem'}" if self.tls else ""

    def _secret(self) -> str:
        if self.certificate:
            return f"the certificate {self.folder / 'device.pem'} and its key {self.folder / 'device.key'}"
        return f"the password in {self.folder / 'password'}"

    def _files(self) -> list[str]:
        files = ["--cafile", str(self.folder / "ca.pem")] if self.tls else []
        if self.certificate:
            files += ["--cert", str(self.folder / "device.pem"), "--key", str(self.folder / "device.key")]
        return files
