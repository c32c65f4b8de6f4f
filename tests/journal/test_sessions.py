"""What is remembered of conversations, and for how long."""

import sqlite3
from contextlib import closing
from typing import cast

import pytest

from agent.contract.messages import Sampling
from agent.contract.sessions import SessionConfig
from agent.journal.clock import Moment
from agent.journal.entries import Kept, SessionKey, Turn
from agent.journal.journal import Journal
from tests.journal.entries import admitted

pytestmark = pytest.mark.anyio

KEY = SessionKey("kitchen", "evening")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def opened(path, **kept):
    return Journal(path, synchronous="NORMAL", kept=Kept(**kept))


async def say(journal, number, key=KEY):
    asked = admitted(f"r{number}")
    await journal.answer(asked, b"{}", said=(key, Turn(f"question {number}", f"answer {number}")))


def questions(journal, key=KEY):
    return [turn.question for _, turn in journal.sessions.turns(key)]


async def test_a_turn_is_there_with_its_reply_and_after_a_restart(path):
    async with opened(path) as journal:
        assert journal.sessions.find(KEY) is None
        for number in (1, 2):
            await say(journal, number)
        assert questions(journal) == ["question 1", "question 2"]
    async with opened(path) as journal:
        assert [turn for _, turn in journal.sessions.turns(KEY)][1] == Turn("question 2", "answer 2")
        assert journal.answered(admitted("r2").key).reply == b"{}"


async def test_the_same_turn_twice_is_one(path):
    async with opened(path) as journal:
        await say(journal, 1)
        await say(journal, 1)
        assert questions(journal) == ["question 1"]


async def test_a_turn_that_cannot_be_written_leaves_no_reply_behind(path):
    async with opened(path) as journal:
        with pytest.raises(Exception, match="cannot be written"):
            await journal.answer(admitted("r1"), b"{}", said=(KEY, Turn("question", cast("str", object()))))
        assert (journal.answered(admitted("r1").key), questions(journal), journal.broken) == (None, [], False)


async def test_the_oldest_turns_are_forgotten_and_numbers_go_on(path):
    async with opened(path, max_turns=3) as journal:
        for number in range(6):
            await say(journal, number)
        assert questions(journal) == ["question 3", "question 4", "question 5"]
        assert [number for number, _ in journal.sessions.turns(KEY)] == [4, 5, 6]


async def test_of_many_turns_some_are_forgotten_at_once(path):
    async with opened(path, max_turns=16) as journal:
        kept = []
        for number in range(20):
            await say(journal, number)
            kept.append(len(questions(journal)))
        assert (max(kept), kept[15:]) == (16, [16, 14, 15, 16, 14])
        assert questions(journal)[-1] == "question 19"


async def test_it_is_configured_before_it_begins_and_reset_without_losing_that(path):
    config = SessionConfig(system="Be glad.", params=Sampling(temperature=0.2))
    async with opened(path) as journal:
        await journal.sessions.configure(KEY, config)
        await say(journal, 1)
        journal.sessions.summarize(KEY, "They spoke.", 1)
        await journal.sessions.reset(KEY)
        found = journal.sessions.find(KEY)
        assert (questions(journal), found.config, found.summary, found.summarized) == ([], config, None, 0)
        await journal.sessions.delete(KEY)
        assert journal.sessions.find(KEY) is None


async def test_a_configuration_that_cannot_be_read_is_passed_over(path, caplog):
    async with opened(path) as journal:
        await journal.sessions.configure(KEY, SessionConfig(system="Be brief."))
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE session SET config = ?", (b'{"of_a_later_release": 1}',))
    async with opened(path) as journal:
        assert journal.sessions.find(KEY).config == SessionConfig()
    assert "of_a_later_release" in caplog.text


async def test_what_is_idle_is_forgotten_with_its_turns(path):
    async with opened(path, idle_s=60.0) as journal:
        await say(journal, 1)
        await say(journal, 2, SessionKey("kitchen", "morning"))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE session SET used_at = used_at - 61, boot_s = boot_s - 61 WHERE id = 'evening'")
    database.close()
    async with opened(path, idle_s=60.0) as journal:
        journal.sessions.forget()
        await say(journal, 3, SessionKey("kitchen", "morning"))
        assert [name for name, *_ in journal.sessions.of_client("kitchen", most=9)] == ["morning"]
        assert questions(journal) == []


async def test_of_too_many_the_latest_are_kept(path):
    async with opened(path, max_sessions=2) as journal:
        for name in "abc":
            await say(journal, 1, SessionKey("kitchen", name))
        await say(journal, 1, SessionKey("hall", "d"))
        journal.sessions.forget()
        await say(journal, 2, SessionKey("hall", "d"))
        assert [name for name, *_ in journal.sessions.of_client("kitchen", most=9)] == ["c", "b"]
        assert [(name, turns) for name, turns, _ in journal.sessions.of_client("hall", most=9)] == [("d", 2)]


async def test_a_journal_of_the_release_before_has_none_and_can(path):
    async with opened(path) as journal:
        await journal.admit(admitted("r1"))
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE session; DROP TABLE turn; DROP TABLE template; PRAGMA user_version = 1")
    database.close()
    async with opened(path) as journal:
        await say(journal, 2)
        assert (questions(journal), len(journal.unanswered())) == (["question 2"], 1)
        assert journal.sessions.find(KEY).used.until(Moment.now()) < 60
