"""The journal's tables, and how a file of an earlier release becomes one of this."""

from __future__ import annotations

import hashlib
import sqlite3

from agent.journal.clips import Clips

VERSION = 3
"""Of the tables, in `PRAGMA user_version`; 0 is a new file, or one of the releases before there were versions."""
_WITH_CONVERSATIONS = 2

_TABLE = """
CREATE TABLE request (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    digest BLOB NOT NULL,
    envelope BLOB,          -- NULL once answered
    clip TEXT,              -- name of its file; NULL once answered
    reply_topic TEXT NOT NULL,
    correlation_data BLOB,
    arrived_at REAL NOT NULL,
    reply BLOB,             -- NULL until answered
    answered_at REAL,
    delivered INTEGER NOT NULL DEFAULT 0,  -- the broker has the reply
    attempts INTEGER NOT NULL DEFAULT 0,   -- times it was begun, and not ended by the agent's own orderly end
    boot_id TEXT,           -- arrived_at, and once answered answered_at, by a clock that nobody sets
    boot_s REAL,
    PRIMARY KEY (client, id)
)
"""
_CONVERSATIONS = (
    """
CREATE TABLE session (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    config BLOB,            -- NULL until it is configured
    summary TEXT,           -- of its turns up to `summarized`
    summarized INTEGER,
    created_at REAL NOT NULL,
    used_at REAL NOT NULL,
    boot_id TEXT,           -- used_at, by a clock that nobody sets
    boot_s REAL,
    PRIMARY KEY (client, id)
)
""",
    """
CREATE TABLE turn (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    client TEXT NOT NULL,
    session TEXT NOT NULL,
    request_id TEXT NOT NULL,
    asked_at REAL NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    UNIQUE (client, session, request_id, asked_at)
)
""",
    "CREATE INDEX said ON turn (client, session, number)",  # in its order, which would else be sorted at each question
)
_TEMPLATES = """
CREATE TABLE template (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB,              -- NULL: taken away with this version
    saved_at REAL NOT NULL,
    PRIMARY KEY (name, version)
)
"""
_FROM_0 = (
    "DROP INDEX IF EXISTS unanswered",
    "DROP INDEX IF EXISTS answered",
    "ALTER TABLE request ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE request ADD COLUMN boot_id TEXT",
    "ALTER TABLE request ADD COLUMN boot_s REAL",
)


def prepare(connection: sqlite3.Connection, clips: Clips) -> None:
    """Makes the tables, or brings them up to date, with all their rows; DatabaseError where a later release made it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"a later release wrote it, in version {version}")
    if version == VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'request'").fetchone():
            connection.execute(_TABLE)
        elif version == 0:
            _migrate(connection, clips)
        if version < _WITH_CONVERSATIONS:
            for table in _CONVERSATIONS:
                connection.execute(table)
        connection.execute(_TEMPLATES)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def clip_name(client: str, request_id: str, arrived_at: float) -> str:
    """The file of a request's clip: another one each time the request is taken on."""
    which = f"{client}/{request_id}/{arrived_at!r}".encode()
    return f"{hashlib.blake2b(which, digest_size=16).hexdigest()}.wav"


def _migrate(connection: sqlite3.Connection, clips: Clips) -> None:
    """From version 0, which had the clips in the table."""
    for statement in _FROM_0:
        connection.execute(statement)
    query = "SELECT rowid, client, id, arrived_at, clip FROM request WHERE clip IS NOT NULL"
    for row, client, request_id, arrived_at, clip in connection.execute(query).fetchall():
        name = clip_name(client, request_id, arrived_at)
        clips.write(name, clip)
        connection.execute("UPDATE request SET clip = ? WHERE rowid = ?", (name, row))
