"""The conversations that go on: what was said in them and how each wants to be asked, in the journal's file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.contract.errors import ContractError
from agent.contract.sessions import SessionConfig
from agent.journal.clock import Moment
from agent.journal.database import Database
from agent.journal.entries import Kept, Numbered, RunKey, SessionKey, Turn
from agent.journal.file import Statement

logger = logging.getLogger(__name__)

_TOUCH = """
INSERT INTO session (client, id, created_at, used_at, boot_id, boot_s) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (client, id) DO UPDATE SET used_at = excluded.used_at, boot_id = excluded.boot_id, boot_s = excluded.boot_s
"""
_ADD = "INSERT OR IGNORE INTO turn (client, session, request_id, asked_at, question, answer) VALUES (?, ?, ?, ?, ?, ?)"
"""The same turn once, also where a crash has it written again."""
_TRIM = """
DELETE FROM turn WHERE client = ? AND session = ?
    AND EXISTS (SELECT 1 FROM turn WHERE client = ? AND session = ? LIMIT 1 OFFSET ?)
    AND number <= (SELECT number FROM turn WHERE client = ? AND session = ? ORDER BY number DESC LIMIT 1 OFFSET ?)
"""
"""Some at once: with each that goes, the model's prompt begins anew, and is to be read again."""
_SHARE_AT_ONCE = 8
_CONFIGURE = "UPDATE session SET config = ? WHERE client = ? AND id = ?"
_SUMMARIZE = "UPDATE session SET summary = ?, summarized = ? WHERE client = ? AND id = ?"
_UNSAY = "DELETE FROM turn WHERE client = ? AND session = ?"
_DROP = "DELETE FROM session WHERE client = ? AND id = ?"
_FORGET = """
DELETE FROM session WHERE rowid IN (
    SELECT line FROM (
        SELECT rowid AS line, row_number() OVER (PARTITION BY client ORDER BY used_at DESC) AS place,
            CASE WHEN boot_id = ? THEN ? - boot_s ELSE ? - used_at END AS idle_s
        FROM session
    ) WHERE place > ? OR idle_s > ?
)
"""
_SWEEP = """
DELETE FROM turn WHERE NOT EXISTS (
    SELECT 1 FROM session WHERE session.client = turn.client AND session.id = turn.session
)
"""
_ONE = """
SELECT config, summary, summarized, created_at, used_at, boot_id, boot_s FROM session WHERE client = ? AND id = ?
"""
_ALL = """
SELECT id, (SELECT count(*) FROM turn WHERE turn.client = session.client AND turn.session = session.id),
    config, summary, summarized, created_at, used_at, boot_id, boot_s
FROM session WHERE client = ? ORDER BY used_at DESC LIMIT ?
"""
_TURNS = "SELECT number, question, answer FROM turn WHERE client = ? AND session = ? ORDER BY number"


@dataclass(frozen=True)
class Session:
    """A conversation, but for what was said in it."""

    config: SessionConfig
    created_at: float
    """Wall clock [s since 1970]."""
    used: Moment
    """When its last turn ended."""
    summary: str | None = None
    """What was said in the turns up to `summarized`, in short."""
    summarized: int = 0


class Sessions:
    """What the journal knows of conversations. Every read raises StorageError where the file cannot be read."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self._database = database
        self._kept = kept

    def find(self, key: SessionKey) -> Session | None:
        """The conversation, if there is one."""
        return next((_session(row) for row in self._database.read(_ONE, *key)), None)

    def turns(self, key: SessionKey) -> list[Numbered]:
        """What was said in it, oldest first."""
        return [Numbered(number, Turn(*said)) for number, *said in self._database.read(_TURNS, *key)]

    def of_client(self, client: str, *, most: int) -> list[tuple[str, int, Session]]:
        """Id, number of turns, and the rest of each conversation of `client`, the latest first."""
        return [(name, turns, _session(row)) for name, turns, *row in self._database.read(_ALL, client, most)]

    def added(self, key: SessionKey, request: RunKey, asked_at: float, turn: Turn) -> list[Statement]:
        """What is to be written so that `turn`, a question and its answer, was said."""
        now, most = Moment.now(), self._kept.max_turns
        return [
            Statement(_TOUCH, (*key, now.wall_s, *now)),
            Statement(_ADD, (*key, request.id, asked_at, *turn)),
            Statement(_TRIM, (*key, *key, most, *key, most - most // _SHARE_AT_ONCE)),
        ]

    def configure(self, key: SessionKey, config: SessionConfig) -> asyncio.Future[None]:
        """Done once the conversation is to be asked by `config`; it begins where it has not. StorageError."""
        touched, *configured = self._configured(key, config)
        return self._database.write(touched, also=configured)

    def summarize(self, key: SessionKey, summary: str, number: int) -> None:
        """Notes what was said in the turns up to `number`."""
        self._database.write(Statement(_SUMMARIZE, (summary, number, *key)), soon=True)

    def reset(self, key: SessionKey, config: SessionConfig | None = None) -> asyncio.Future[None]:
        """Done once nothing was said in it, and it is to be asked by `config`, if there is one. StorageError."""
        anew = [Statement(_SUMMARIZE, (None, 0, *key))]
        if config is not None:
            anew += self._configured(key, config)
        return self._database.write(Statement(_UNSAY, key), also=anew)

    def delete(self, key: SessionKey) -> asyncio.Future[None]:
        """Done once it never was. StorageError."""
        return self._database.write(Statement(_UNSAY, key), also=[Statement(_DROP, key)])

    def forget(self) -> None:
        """Drops the conversations in which nothing was said for long, and a client's oldest where it has too many."""
        now, kept = Moment.now(), self._kept
        old = Statement(_FORGET, (now.boot_id, now.boot_s, now.wall_s, kept.max_sessions, kept.idle_s))
        self._database.write(old, also=[Statement(_SWEEP)])

    @staticmethod
    def _configured(key: SessionKey, config: SessionConfig) -> list[Statement]:
        now = Moment.now()
        return [Statement(_TOUCH, (*key, now.wall_s, *now)), Statement(_CONFIGURE, (config.encode(), *key))]


def _session(row: Sequence[Any]) -> Session:
    config, summary, summarized, created_at, *used = row
    return Session(_config(config), created_at, Moment(*used), summary, summarized or 0)


def _config(body: bytes | None) -> SessionConfig:
    """As it was set; nothing, where another release wrote what this one cannot read."""
    try:
        return SessionConfig.decode(body) if body else SessionConfig()
    except ContractError as exc:
        logger.warning("the configuration of a conversation in the journal is passed over: %s", exc.message)
        return SessionConfig()
