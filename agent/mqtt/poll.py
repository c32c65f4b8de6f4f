"""`select` as paho calls it, over `poll`, which takes file descriptors of any size."""

from __future__ import annotations

import math
import select
from collections.abc import Iterable
from typing import Any

import paho.mqtt.client as paho

_READABLE = select.POLLIN | select.POLLPRI | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR


class PollingSelect:
    """Stands in for the module `select`: the one function of it that paho uses, with its contract."""

    @staticmethod
    def select(
        readers: Iterable[Any], writers: Iterable[Any], _exceptional: Iterable[Any], timeout_s: float
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Which of `readers` and `writers` are ready, within `timeout_s`.

        ValueError for a socket that is closed, TypeError for what is none: paho tells a lost connection by them.
        """
        readers, writers = list(readers), list(writers)
        wanted: dict[int, int] = {}
        for sockets, mask in ((readers, select.POLLIN | select.POLLPRI), (writers, select.POLLOUT)):
            for sock in sockets:
                number = _fileno(sock)
                wanted[number] = wanted.get(number, 0) | mask
        poll = select.poll()
        for number, mask in wanted.items():
            poll.register(number, mask)
        events = dict(poll.poll(math.ceil(timeout_s * 1_000)))
        if any(mask & select.POLLNVAL for mask in events.values()):
            raise ValueError("a socket was closed meanwhile")
        return (
            [sock for sock in readers if events.get(_fileno(sock), 0) & _READABLE],
            [sock for sock in writers if events.get(_fileno(sock), 0) & _WRITABLE],
            [],
        )


def _fileno(sock: Any) -> int:
    if not hasattr(sock, "fileno"):
        raise TypeError(f"{sock!r} is no socket")
    number: int = sock.fileno()
    if number < 0:
        raise ValueError(f"{sock!r} is closed")
    return number


# select() fails for descriptors from 1024 on, and paho's thread would try for ever to connect: a bridge with that many
# callers would lose its broker at the first reconnect.
paho.select = PollingSelect()  # type: ignore[assignment, attr-defined] # paho uses nothing else of the module
