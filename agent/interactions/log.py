"""The log of interactions: noted on the event loop, written by a thread, and never waited for."""

from __future__ import annotations

import asyncio
import errno
import logging
import queue
import threading

from typing_extensions import Self

from agent.contract.reply import Reply
from agent.errors import UserError
from agent.interactions.file import LogFile
from agent.interactions.interaction import Interaction
from agent.interactions.redaction import redacted
from agent.interactions.settings import InteractionsSettings
from agent.journal.entries import Admitted

logger = logging.getLogger(__name__)

_MAX_WAITING = 1_000
_CLOSE_S = 5.0
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
"""What may pass by itself, and is no reason not to start."""


class InteractionsPathError(UserError):
    """The log cannot be where it is to be."""


class InteractionLog:
    """Keeps what runs were about, while the context is open, where a path is set. Whatever fails, the runs go on."""

    def __init__(self, settings: InteractionsSettings) -> None:
        self._path = settings.path
        self._redact = settings.redact
        self._max_bytes = settings.max_bytes
        self._waiting: queue.Queue[Interaction | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._failing = False
        self._crowded = False

    async def __aenter__(self) -> Self:
        if self._path:
            file = LogFile(self._path, self._max_bytes)
            try:
                await asyncio.to_thread(file.check)
            except OSError as exc:
                self._refuse(exc)
            self._thread = threading.Thread(target=self._write_for_ever, args=(file,), name="interactions", daemon=True)
            self._thread.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._thread:
            await asyncio.to_thread(self._finish, self._thread)

    def ended(self, admitted: Admitted, reply: Reply) -> None:
        """A run has its terminal reply."""
        if self._thread is None:
            return
        try:
            self._waiting.put_nowait(Interaction.of(admitted, reply))
        except queue.Full:
            if not self._crowded:
                logger.warning("%s is written too slowly: some interactions are left out", self._path)
            self._crowded = True
        else:
            self._crowded = False

    def _refuse(self, exc: OSError) -> None:
        """A path that cannot be meant stays wrong; a disk does not stay full."""
        if exc.errno not in _OF_THE_DISK:
            raise InteractionsPathError(
                f"EDGEVOICE_INTERACTIONS__PATH: {self._path} cannot be written ({exc.strerror}); name a file in a"
                " folder of this user's, or none"
            ) from exc

    def _finish(self, thread: threading.Thread) -> None:
        """Has all written that waits, unless the disk hangs."""
        try:
            self._waiting.put(None, timeout=_CLOSE_S)
        except queue.Full:
            return
        thread.join(_CLOSE_S)

    def _write_for_ever(self, file: LogFile) -> None:
        while interaction := self._waiting.get():
            try:
                file.append(redacted(interaction, self._redact).encode())
            except OSError as exc:
                if not self._failing:
                    logger.error("interactions are not kept before this is mended: %s", exc)  # noqa: TRY400 - all is said
                self._failing = True
            else:
                self._failing = False
