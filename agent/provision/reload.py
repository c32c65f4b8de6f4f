"""Tells a running broker to read its files again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from agent.provision.files import ProvisionError

_UNIT = "mosquitto.service"
_PATIENCE_S = 20.0
_LOOKS_S = 0.25
"""Mosquitto looks every 100 ms whether it was told to reload, and tells nobody when it has."""
BY_HAND = "sudo systemctl reload mosquitto, or SIGHUP to the broker's process; in a container, docker kill -s HUP"


def reload_broker(pid_file: Path | None = None) -> str:
    """Makes it read users and rules again, and returns how, in words; nobody who may stay is disconnected.

    By the process that `pid_file` names, else by systemd. Raises ProvisionError, which says what to do by hand, where
    no broker was told.
    """
    told = _signalled(pid_file) if pid_file else _by_systemd("reload")
    time.sleep(_LOOKS_S)
    return told


def restart_broker(pid_file: Path | None = None) -> str:
    """Starts it again, because only then it opens new listeners, and returns how, in words.

    Raises ProvisionError, which says what to do by hand, where that is not systemd's to do, as with a `pid_file`.
    """
    if pid_file:
        raise ProvisionError("the broker has new listeners: start it again by hand, which a reload cannot replace")
    return _by_systemd("restart")


def _signalled(pid_file: Path) -> str:
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        # A number that outlived its process may be anybody's by now.
        if "mosquitto" not in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace"):
            raise ProvisionError(f"process {pid} of {pid_file} is no mosquitto; reload it by hand: {BY_HAND}")
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError) as exc:
        raise ProvisionError(f"no broker was found by {pid_file} ({exc}); reload it by hand: {BY_HAND}") from exc
    return f"SIGHUP to process {pid}"


def _by_systemd(verb: str) -> str:
    by_hand = (
        f"name its --pid-file, or reload it by hand: {BY_HAND}"
        if verb == "reload"
        else "end the broker and start it again by hand"
    )
    if shutil.which("systemctl") is None:
        raise ProvisionError(f"there is no systemd here to {verb} the broker by; {by_hand}")
    argv = ["systemctl", verb, _UNIT]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise ProvisionError(f"`{' '.join(argv)}` did not end; {by_hand}") from exc
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise ProvisionError(f"`{' '.join(argv)}` failed ({said}); {by_hand}")
    return " ".join(argv)
