"""The requests an agent took on: written before they are acknowledged, with their reply before it is published."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from typing_extensions import Self

from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.journal.database import Database

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
    PRIMARY KEY (client, id)
);
CREATE INDEX IF NOT EXISTS unanswered ON request (arrived_at) WHERE reply IS NULL;
CREATE INDEX IF NOT EXISTS answered ON request (answered_at) WHERE reply IS NOT NULL;
"""


@dataclass(frozen=True)
class Admitted:
    """A request as the journal keeps it: all that is needed to run it again."""

    client: str
    id: str
    operation: Operation
    request: Request
    clip: bytes | None
    """A WAV that came as it is, outside the envelope."""
    reply_topic: str
    correlation_data: bytes | None
    arrived_at: float
    """Wall clock [s since 1970]; only compared across a restart."""

    @cached_property
    def digest(self) -> bytes:
        """Equal for two requests that ask the same, however they were sent and whenever they are wanted."""
        asked = self.request.model_copy(update={"id": None, "reply_to": None, "deadline_ms": None})
        digest = hashlib.blake2b(self.operation.value.encode(), digest_size=16)
        digest.update(asked.encode())
        digest.update(self.clip or b"")
        return digest.digest()


@dataclass(frozen=True)
class Answered:
    """What became of an earlier request."""

    digest: bytes
    reply: bytes


class Requests:
    """The journal of one agent."""

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self._database = Database(path, schema=_SCHEMA, synchronous=synchronous)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._database.__aexit__(*exc_info)

    async def admit(self, admitted: Admitted) -> None:
        """Returns once a crash cannot lose the request any more."""
        row = (
            admitted.client,
            admitted.id,
            admitted.operation.value,
            admitted.digest,
            admitted.request.encode(),
            admitted.clip,
            admitted.reply_topic,
            admitted.correlation_data,
            admitted.arrived_at,
        )
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO request (client, id, operation, digest, envelope, clip, reply_topic, correlation_data,"
                " arrived_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        )

    async def answer(self, admitted: Admitted, reply: bytes) -> None:
        """Returns once `reply` is the request's one outcome."""
        row = (reply, time.time(), admitted.client, admitted.id)
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE request SET reply = ?, answered_at = ?, envelope = NULL, clip = NULL"
                " WHERE client = ? AND id = ?",
                row,
            )
        )

    async def forget(self, older_than_s: float) -> None:
        """Drops what was answered longer ago than that."""
        before = time.time() - older_than_s
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM request WHERE answered_at < ?", (before,))
        )

    def answered(self, client: str, request_id: str) -> Answered | None:
        """The outcome of an earlier request with this id, if it is still remembered."""
        rows = self._database.read(
            "SELECT digest, reply FROM request WHERE client = ? AND id = ? AND reply IS NOT NULL", client, request_id
        )
        return Answered(*rows[0]) if rows else None

    def unanswered(self) -> list[Admitted]:
        """What was taken on and has no outcome yet, oldest first."""
        rows = self._database.read(
            "SELECT client, id, operation, envelope, clip, reply_topic, correlation_data, arrived_at"
            " FROM request WHERE reply IS NULL ORDER BY arrived_at"
        )
        return [
            Admitted(client, request_id, Operation(operation), Request.decode(envelope), clip, topic, correlation, at)
            for client, request_id, operation, envelope, clip, topic, correlation, at in rows
        ]
