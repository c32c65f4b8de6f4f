"""What workers tell of themselves: in systemd's words, to a socket of the bridge's own."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from typing_extensions import Self

_CREDENTIALS = struct.Struct("3i")
_MESSAGE_BYTES = 4_096


class Mailbox:
    """Stands in for the service manager of child processes, each known by its pid, which the kernel vouches for."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("")  # the kernel picks an abstract name: there is no file to put somewhere and to tidy up

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def become_child(self, period: timedelta) -> None:
        """Has this process, a child, write here; its watchdog is to say four times a `period` that it lives."""
        name: bytes = self._socket.getsockname()
        os.environ["NOTIFY_SOCKET"] = "@" + name[1:].decode()
        os.environ["WATCHDOG_USEC"] = str(period // timedelta(microseconds=1))
        os.environ.pop("WATCHDOG_PID", None)
        self._socket.close()

    def read(self) -> Iterator[tuple[int, frozenset[str]]]:
        """What came since: who wrote, and its words."""
        with suppress(BlockingIOError):
            while True:
                text, ancillary, _, _ = self._socket.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
                for level, kind, data in ancillary:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                        pid, _, _ = _CREDENTIALS.unpack_from(data)
                        yield pid, frozenset(text.decode("utf-8", "replace").splitlines())
