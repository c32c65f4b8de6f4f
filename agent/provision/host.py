"""How others can reach this machine."""

from __future__ import annotations

import socket
from contextlib import suppress

_SOMEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has: to find the way to them, nothing is sent."""


def addresses() -> list[str]:
    """The addresses under which this machine speaks to others."""
    found = []
    for family, address in _SOMEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def names() -> list[str]:
    """Every name and address of this machine that is known here, the most useful first."""
    host = socket.gethostname()
    local = [] if "." in host else [f"{host}.local"]
    return list(dict.fromkeys([*addresses(), host, *local, "localhost", "127.0.0.1", "::1"]))
