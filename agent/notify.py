"""Tells systemd how a service fares; does nothing where nobody listens (`NOTIFY_SOCKET` unset)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_PATIENCE_S = 1.0


def notify(*states: str) -> None:
    """Sends `READY=1`, `STOPPING=1`, `STATUS=…` and their like to the service manager, in one message."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_PATIENCE_S)  # a service manager that hangs must not stop us, too
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall("\n".join(states).encode())


def more_time(seconds: float) -> str:
    """The state that puts off the end of the service manager's patience, at start or stop, to `seconds` from now.

    It never makes it shorter than the unit says.
    """
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"
