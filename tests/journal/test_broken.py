"""A journal that cannot be written: what it refuses, what it owes, and how it is whole again."""

import asyncio
import resource
import sqlite3
from contextlib import contextmanager

import pytest

from agent.errors import StorageError
from agent.journal import statements
from agent.journal.file import Statement
from agent.journal.journal import Journal
from tests.journal.entries import admitted, left

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def opened(path, synchronous="NORMAL"):
    return Journal(path, synchronous=synchronous, mend_interval_s=0.01)


@contextmanager
def full_disk():
    """No file of this process may grow: for SQLite, as a disk that is full."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


async def until_mended(journal):
    mended = asyncio.Event()
    journal.on_change = lambda: None if journal.broken else mended.set()
    if journal.broken:
        await mended.wait()


@pytest.mark.parametrize("clip", [None, b"RIFF"])
async def test_a_request_that_cannot_be_written_is_refused_and_the_next_at_once(path, clip):
    async with opened(path) as journal:
        with full_disk():
            outcomes = await asyncio.gather(
                journal.admit(admitted("a", clip=clip)), journal.admit(admitted("b")), return_exceptions=True
            )
            assert [type(outcome) for outcome in outcomes] == [StorageError, StorageError]
            assert journal.broken
            with pytest.raises(StorageError):
                journal.check()
            assert journal.admit(admitted("c")).done()
            while journal.waited_s:  # for what was noted meanwhile
                await asyncio.sleep(0)
            assert journal.answered(admitted("a").key) is None  # what can be read is
        await until_mended(journal)
        journal.check()
        await journal.admit(admitted("next"))
        assert [entry.key.id for entry in left(journal)] == ["next"]
        assert not list(path.with_name("journal.clips").iterdir())


async def test_it_is_not_whole_while_the_disk_is_full(path):
    async with opened(path) as journal:
        changes = []
        journal.on_change = lambda: changes.append(journal.broken)
        with full_disk():
            await asyncio.gather(journal.admit(admitted()), return_exceptions=True)
            for _ in range(3):
                await journal._database.mend()
            assert changes == [True]
        await until_mended(journal)


async def test_what_comes_to_be_owed_while_it_is_mended_is_written_before_it_is_whole(path, monkeypatch):
    async with opened(path) as journal:
        await journal.admit(admitted())
        with full_disk():
            await asyncio.gather(journal.admit(admitted("other")), return_exceptions=True)
        connect = journal._database._connect

        def slowly(owed):
            reader = connect(owed)
            if not answering:
                answering.append(asyncio.run_coroutine_threadsafe(answer(), loop))
                answering[0].result()
            return reader

        async def answer():
            await asyncio.gather(journal.answer(admitted(), b"{}"), return_exceptions=True)

        answering = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(journal._database, "_connect", slowly)
        await until_mended(journal)
        assert left(journal) == []


async def test_what_became_of_requests_meanwhile_is_written_when_it_can_be(path):
    spoken = admitted("spoken", clip=b"RIFF")
    async with opened(path) as journal:
        await asyncio.gather(journal.admit(spoken), journal.admit(admitted("waiting")))
        with full_disk():
            outcomes = await asyncio.gather(journal.answer(spoken, b"reply"), return_exceptions=True)
            assert isinstance(outcomes[0], StorageError)
            journal.delivered(spoken.key, b"reply")
        await until_mended(journal)
        answered = journal.answered(spoken.key)
        assert answered
        assert answered.reply == b"reply"
        assert journal.undelivered() == []
        assert [entry.key.id for entry in left(journal)] == ["waiting"]


async def test_it_is_written_at_the_end_where_it_can_be(path):
    async with Journal(path, synchronous="NORMAL", mend_interval_s=60) as journal:
        await journal.admit(admitted())
        with full_disk():
            await asyncio.gather(journal.answer(admitted(), b"reply"), return_exceptions=True)
    async with opened(path) as journal:
        assert journal.answered(admitted().key)


async def test_one_that_cannot_be_opened_is_tried_again(path):
    folder = path.parent / "folder"
    folder.write_text("in its place")
    async with opened(folder / "journal.db") as journal:
        assert journal.broken
        for reading in (journal.unanswered, journal.undelivered, lambda: journal.answered(admitted().key)):
            with pytest.raises(StorageError, match="cannot be read: "):
                reading()
        folder.unlink()
        await until_mended(journal)
        await journal.admit(admitted())


@pytest.mark.parametrize("damage", ["garbage", "truncated", "a later release"])
async def test_a_file_that_cannot_be_used_is_moved_aside(path, damage, caplog):
    async with opened(path) as journal:
        for number in range(20):
            await journal.admit(admitted(str(number), text="long " * 500))
    if damage == "garbage":
        path.write_bytes(b"not a database" * 1_000)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:9_000])
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 1000")
        connection.close()
    content = path.read_bytes()
    async with opened(path) as journal:
        assert left(journal) == []
        await journal.admit(admitted("next"))
    [aside] = path.parent.glob("journal.db.corrupt-*[0-9]")
    assert aside.read_bytes()[:1_000] == content[:1_000]
    assert str(aside) in caplog.text


async def test_what_ran_when_it_turned_out_corrupt_has_its_outcome_in_the_new_one(path):
    async with opened(path) as journal:
        await journal.admit(admitted())
        journal._database._break(sqlite3.DatabaseError("database disk image is malformed"))
        await asyncio.gather(journal.answer(admitted(), b"reply"), return_exceptions=True)
        await until_mended(journal)
        answered = journal.answered(admitted().key)
        assert answered
        assert (answered.reply, answered.digest) == (b"reply", admitted().digest)


async def test_what_is_at_hand_is_kept_in_the_new_one_too(path):
    async with opened(path) as journal:
        for request_id in ("running", "answered"):
            await journal.admit(admitted(request_id, clip=b"RIFF"))
        journal._database._break(sqlite3.DatabaseError("database disk image is malformed"))
        await until_mended(journal)
        await journal.answer(admitted("answered", clip=b"RIFF"), b"reply")
        for request_id in ("running", "answered"):
            journal.keep(admitted(request_id, clip=b"RIFF"), begun=True)
    async with opened(path) as journal:
        [entry] = journal.unanswered()
        assert (entry.admitted, entry.attempts) == (admitted("running", clip=b"RIFF"), 1)


async def test_what_is_owed_and_wrong_does_not_keep_it_broken(path, caplog):
    async with opened(path) as journal:
        await journal.admit(admitted())
        with full_disk():
            await asyncio.gather(journal.admit(admitted("other")), return_exceptions=True)
            journal._database._owed.insert(0, Statement(statements.DELIVERED, ("too few",)))
            journal.interrupted(admitted().key)
        await until_mended(journal)
        assert [entry.key.id for entry in left(journal)] == ["r1"]
    assert "never written: UPDATE request" in caplog.text


async def test_few_files_are_kept_aside(path):
    for _ in range(5):
        path.write_bytes(b"not a database" * 1_000)
        async with opened(path):
            pass
    assert len(list(path.parent.glob("journal.db.corrupt-*"))) == 3


async def test_who_watches_it_and_fails_does_not_stop_it(path, caplog):
    async with opened(path) as journal:
        journal.on_change = lambda: 1 / 0
        with full_disk():
            await asyncio.gather(journal.admit(admitted()), return_exceptions=True)
        while journal.broken:
            await asyncio.sleep(0.001)
        assert "ZeroDivisionError" in caplog.text
