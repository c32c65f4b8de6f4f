"""Requests that a crash would still lose: their messages are acknowledged once the journal has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.errors import StorageError
from agent.journal.entries import RunKey
from agent.journal.journal import Journal
from agent.logs import current_run
from agent.mqtt.message import Message
from agent.pipeline.run import Run

_AT_ONCE_BYTES = 256 * 1024


@dataclass
class _Entry:
    messages: list[Message] = field(default_factory=list)
    """Acknowledged once it is written."""
    being_written: bool = False
    """Whether the journal has begun with it."""


class Unwritten:
    """What was taken on and is not written down yet."""

    def __init__(self, journal: Journal, ack: Callable[[Message], None]) -> None:
        """`ack` is told of each message once a crash cannot lose it."""
        self._journal = journal
        self._ack = ack
        self._entries: dict[RunKey, _Entry] = {}

    def __contains__(self, key: RunKey) -> bool:
        return key in self._entries

    def add(self, key: RunKey, message: Message | None) -> None:
        """A request that is to be written down; `message` None: nobody waits for an acknowledgement."""
        self._entries[key] = _Entry([message] if message else [])

    def join(self, key: RunKey, message: Message) -> None:
        """The same request once more: acknowledged together with the first, or now, where that is written down."""
        if entry := self._entries.get(key):
            entry.messages.append(message)
        else:
            self._ack(message)

    def begun(self, key: RunKey) -> None:
        """Its run begins, which the journal is told; or will be, with all the rest, where it has not begun with it."""
        entry = self._entries.get(key)
        if not entry or entry.being_written:
            self._journal.begun(key)

    async def write_down(self, run: Run) -> StorageError | None:
        """Journal first, then the acknowledgement; a run that cannot be written down ends."""
        current_run.set(str(run.key))
        if len(run.admitted.clip or b"") > _AT_ONCE_BYTES:
            await asyncio.to_thread(lambda: run.admitted.digest)  # which the journal asks for, and takes milliseconds
        else:
            await asyncio.sleep(0)  # one that begins at once has done so now: one commit has both
        entry = self._entries[run.key]
        entry.being_written = True
        error: StorageError | None = None
        try:
            await self._journal.admit(run.admitted, begun=run.begun)
        except StorageError as exc:
            error = exc
            run.cancel()
        finally:
            del self._entries[run.key]
        for message in entry.messages:
            self._ack(message)
        return error
