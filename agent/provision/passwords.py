"""Users of the broker who have a password, in the file that mosquitto_passwd writes."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from agent.provision.files import ProvisionError, locked, read, replace

_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"
_PASSWORD_BYTES = 24


def new_password() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def users(path: Path) -> list[str]:
    """Everybody who has a password, in the order of the file."""
    return [line.partition(":")[0] for line in read(path).splitlines() if ":" in line]


def set_password(path: Path, user: str, password: str) -> None:
    """Gives `user` this password, a new user or not. Raises ProvisionError."""
    hashed = _hashed(user, password)
    with locked(path.parent):
        others = _others(path, user)
        replace(path, "".join(f"{line}\n" for line in (*others, hashed)))


def remove_password(path: Path, user: str) -> bool:
    """Takes the password of `user` away; whether there was one. Raises ProvisionError."""
    with locked(path.parent):
        if user not in users(path):
            return False
        replace(path, "".join(f"{line}\n" for line in _others(path, user)))
    return True


def _others(path: Path, user: str) -> list[str]:
    return [line for line in read(path).splitlines() if line.partition(":")[0] != user]


def _hashed(user: str, password: str) -> str:
    """The line for the file; by way of a file, because anyone on the machine may read a process's arguments."""
    program = shutil.which("mosquitto_passwd", path=_SBIN)
    if program is None:
        raise ProvisionError("mosquitto_passwd is not installed: `sudo apt-get install mosquitto`")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "passwords"
        file.touch(mode=0o600)
        file.write_text(f"{user}:{password}\n", encoding="utf-8")
        done = subprocess.run([program, "-U", str(file)], capture_output=True, text=True, check=False)
        line = file.read_text(encoding="utf-8").strip()
    if done.returncode != 0 or password in line:
        raise ProvisionError(f"mosquitto_passwd failed: {' '.join(done.stderr.split()) or done.returncode}")
    return line
