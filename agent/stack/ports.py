"""Ports of the loopback: a free one, one that must be free, and one that somebody is to listen on."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress

from agent.errors import UserError

HOST = "127.0.0.1"
_LOOK_S = 0.02


def free_port() -> int:
    """A port nobody listens on."""
    # Below the range the kernel gives to outgoing connections: one of those could otherwise sit on the port while the
    # broker is down, even a client's own attempt to reach it again.
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(UserError):
            check_free(port)
            return port
    raise UserError("no free port on the loopback between 20000 and 32000")


def check_free(port: int) -> None:
    """UserError where somebody listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            raise UserError(f"port {port} of {HOST} cannot be used: {exc.strerror}") from exc


async def until_listening(port: int) -> None:
    """Returns once `port` accepts connections."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(_LOOK_S)
