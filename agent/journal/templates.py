"""The prompt templates that operators saved, version by version, in the journal's file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.journal.database import Database
from agent.journal.file import Statement

_ADD = "INSERT OR REPLACE INTO template (name, version, body, saved_at) VALUES (?, ?, ?, ?)"
"""Also where a later release wrote something that this one could not read."""
_DROP = "DELETE FROM template WHERE name = ? AND version = ?"
_ALL = "SELECT name, version, body, saved_at FROM template ORDER BY name, version"


class SavedTemplate(NamedTuple):
    """A version of a template."""

    name: str
    version: int
    body: bytes | None
    """The template as it is sent; None where this version took it away."""
    saved_at: float
    """Wall clock [s since 1970]."""


class Templates:
    """What the journal knows of templates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[SavedTemplate]:
        """Every version, by name, the latest last. StorageError where the file cannot be read."""
        return [SavedTemplate(*row) for row in self._database.read(_ALL)]

    def change(
        self, *, add: Sequence[SavedTemplate] = (), drop: Iterable[tuple[str, int]] = ()
    ) -> asyncio.Future[None]:
        """Done once these are there, and those of these names and versions are not: all of it, or StorageError."""
        first, *rest = [*(Statement(_DROP, each) for each in drop), *(Statement(_ADD, each) for each in add)]
        return self._database.write(first, also=rest)
