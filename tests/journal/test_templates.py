"""The templates that operators saved survive restarts, and a journal of the release before has room for them."""

import sqlite3

import pytest

from agent.contract.sessions import SessionConfig
from agent.journal.entries import SessionKey
from agent.journal.journal import Journal
from agent.journal.templates import SavedTemplate
from tests.journal.entries import admitted

pytestmark = pytest.mark.anyio

FIRST = SavedTemplate("brief", 1, b'{"template":"{user}"}', 1_000.5)
GONE = SavedTemplate("brief", 2, None, 1_001.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def opened(path):
    return Journal(path, synchronous="NORMAL")


async def test_versions_come_and_go_and_survive_a_restart(path):
    async with opened(path) as journal:
        assert journal.templates.all() == []
        await journal.templates.change(add=[FIRST, GONE])
        assert journal.templates.all() == [FIRST, GONE]
    async with opened(path) as journal:
        await journal.templates.change(add=[GONE._replace(version=3)], drop=[("brief", 1), ("another", 7)])
        assert journal.templates.all() == [GONE, GONE._replace(version=3)]


async def test_a_journal_of_the_release_before_keeps_what_it_has_and_has_room(path):
    key = SessionKey("kitchen", "evening")
    async with opened(path) as journal:
        await journal.admit(admitted("r1"))
        await journal.sessions.configure(key, SessionConfig(system="Be glad."))
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE template; PRAGMA user_version = 2")
    database.close()
    async with opened(path) as journal:
        await journal.templates.change(add=[FIRST])
        assert journal.templates.all() == [FIRST]
        assert journal.sessions.find(key).config.system == "Be glad."
        assert len(journal.unanswered()) == 1
