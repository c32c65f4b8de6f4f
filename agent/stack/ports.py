"""Ports of the loopback: a free one, one that must be free, and one that somebody is to listen on."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle

from agent.errors import UserError

HOST = "127.0.0.1"
_LOOK_S = 0.02
# Below the range the kernel gives to outgoing connections: one of those could otherwise sit on the port while the
# broker is down, even a client's own attempt to reach it again.
_FIRST_PORT, _LAST_PORT = 20_000, 31_999
_PORTS_EACH = 100


def free_port() -> int:
    """A port nobody listens on, and none of our processes is about to; another one each time, as long as there are."""
    ports = _ours()
    for _ in range(_PORTS_EACH):
        port = next(ports)
        with suppress(UserError):
            check_free(port)
            return port
    raise UserError(f"no free port on the loopback between {_FIRST_PORT} and {_LAST_PORT}")


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


@cache
def _ours() -> Iterator[int]:
    """The ports that this process may choose from, round and round."""
    blocks = [range(start, start + _PORTS_EACH) for start in range(_FIRST_PORT, _LAST_PORT, _PORTS_EACH)]
    random.shuffle(blocks)
    block = next((block for block in blocks if _claimed(block)), blocks[0])
    return cycle(random.sample(block, _PORTS_EACH))


def _claimed(block: range) -> bool:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0edgevoice-ports-{block.start}")  # a name that the kernel gives to one process at a time
    except OSError:
        claim.close()
        return False
    claim.detach()  # open until the process ends
    return True
