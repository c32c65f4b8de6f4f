"""The requests an agent took on: written before they are acknowledged, with their reply before it is published."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from typing_extensions import Self

from agent.contract.errors import ContractError
from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.journal.database import Database
from agent.journal.entries import Admitted, Answered, ReplyTo, RunKey

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    digest BLOB NOT NULL,
    envelope BLOB,          -- NULL once answered
    clip BLOB,
    reply_topic TEXT NOT NULL,
    correlation_data BLOB,
    arrived_at REAL NOT NULL,
    reply BLOB,             -- NULL until answered
    answered_at REAL,
    delivered INTEGER NOT NULL DEFAULT 0,  -- the broker has the reply
    PRIMARY KEY (client, id)
);
CREATE INDEX IF NOT EXISTS unanswered ON request (arrived_at) WHERE reply IS NULL;
CREATE INDEX IF NOT EXISTS answered ON request (answered_at) WHERE reply IS NOT NULL;
"""


class Journal:
    """What one agent promised and what it kept."""

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self._database = Database(path, schema=_SCHEMA, synchronous=synchronous)

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._database.close()

    @property
    def waited_s(self) -> float:
        """How long nothing was written that waits to be [s]; a disk that hangs is not seen otherwise."""
        return self._database.waited_s

    async def admit(self, admitted: Admitted) -> None:
        """Returns once a crash cannot lose the request any more; it takes the place of an earlier one. StorageError."""
        await self._database.write(
            "INSERT OR REPLACE INTO request (client, id, operation, digest, envelope, clip, reply_topic,"
            " correlation_data, arrived_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *admitted.key,
            admitted.operation.value,
            admitted.digest,
            admitted.request.encode(),
            admitted.clip,
            *admitted.reply_to,
            admitted.arrived_at,
        )

    async def answer(self, key: RunKey, reply: bytes) -> None:
        """Returns once `reply` is the request's one outcome. StorageError."""
        await self._database.write(
            "UPDATE request SET reply = ?, answered_at = ?, envelope = NULL, clip = NULL WHERE client = ? AND id = ?",
            reply,
            time.time(),
            *key,
        )

    def delivered(self, key: RunKey) -> None:
        """Notes, soon, that the broker has the reply."""
        self._database.write("UPDATE request SET delivered = 1 WHERE client = ? AND id = ?", *key)

    def forget(self, older_than_s: float) -> None:
        """Drops, soon, what was answered longer ago than that."""
        self._database.write("DELETE FROM request WHERE answered_at < ?", time.time() - older_than_s)

    def answered(self, key: RunKey) -> Answered | None:
        """The outcome of an earlier request, if it is still remembered."""
        query = "SELECT digest, reply FROM request WHERE client = ? AND id = ? AND reply IS NOT NULL"
        return next((Answered(*row) for row in self._database.read(query, *key)), None)

    def unanswered(self) -> list[Admitted]:
        """What was taken on and has no outcome yet, oldest first."""
        rows = self._database.read(
            "SELECT client, id, operation, envelope, clip, reply_topic, correlation_data, arrived_at"
            " FROM request WHERE reply IS NULL ORDER BY arrived_at"
        )
        return [admitted for row in rows if (admitted := self._readable(row))]

    def undelivered(self) -> list[tuple[RunKey, ReplyTo, bytes]]:
        """Replies that the broker may not have got, oldest first."""
        rows = self._database.read(
            "SELECT client, id, reply_topic, correlation_data, reply"
            " FROM request WHERE reply IS NOT NULL AND NOT delivered ORDER BY answered_at"
        )
        return [
            (RunKey(client, request_id), ReplyTo(topic, correlation_data), reply)
            for client, request_id, topic, correlation_data, reply in rows
        ]

    def _readable(self, row: tuple[Any, ...]) -> Admitted | None:
        """The request of a row; None, and the row is dropped, where another version wrote it and we cannot read it."""
        client, request_id, operation, envelope, clip, topic, correlation_data, arrived_at = row
        key, to = RunKey(client, request_id), ReplyTo(topic, correlation_data)
        try:
            return Admitted(key, Operation(operation), Request.decode(envelope), clip, to, arrived_at)
        except (ContractError, ValueError):
            logger.exception("%s in the journal cannot be read, and is dropped", key)
            self._database.write("DELETE FROM request WHERE client = ? AND id = ?", *key)
            return None
