"""What the journal remembers, and for how long."""

import asyncio
import sqlite3
import threading

import pytest

from agent.contract.terms import Operation
from agent.errors import StorageError
from agent.journal import clock
from agent.journal.clock import Moment
from agent.journal.entries import Admitted, Bounds, ReplyTo, RunKey
from agent.journal.file import Statement
from agent.journal.journal import Journal
from tests.journal.entries import admitted, left

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def opened(path, synchronous="NORMAL", **bounds):
    return Journal(path, synchronous=synchronous, bounds=Bounds(**bounds))


def clips(path):
    folder = path.with_name("journal.clips")
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
async def test_what_was_taken_on_outlives_the_process_in_its_order(path, synchronous):
    first, second = admitted("b", arrived_at=2.0, clip=b"RIFF"), admitted("a", arrived_at=1.0, clip=b"")
    async with opened(path.parent / "deep" / "journal.db", synchronous) as journal:
        await asyncio.gather(journal.admit(first), journal.admit(second))
    async with opened(path.parent / "deep" / "journal.db", synchronous) as journal:
        assert left(journal) == [first, second]


async def test_an_answered_request_has_one_outcome_for_its_client(path):
    async with opened(path) as journal:
        for client in ("demo", "other"):
            await journal.admit(admitted(client=client))
        await journal.answer(admitted(), b"the reply")
        answered = journal.answered(RunKey("demo", "r1"))
        assert answered
        assert (answered.reply, answered.digest) == (b"the reply", admitted().digest)
        assert journal.answered(RunKey("other", "r1")) is None
        assert [entry.key.client for entry in left(journal)] == ["other"]


async def test_a_reply_is_undelivered_until_the_broker_has_it(path):
    async with opened(path) as journal:
        for request_id in ("sent", "unsent"):
            await journal.admit(admitted(request_id))
            await journal.answer(admitted(request_id), b"reply")
        journal.delivered(admitted("sent").key, b"reply")
    async with opened(path) as journal:
        [key] = journal.undelivered()
        assert key == admitted("unsent").key
        assert journal.reply_of(key) == (admitted("unsent").reply_to, b"reply")
        assert journal.reply_of(RunKey("demo", "never")) is None


async def test_that_a_reply_was_delivered_is_noted_without_anything_else_to_write(path):
    async with opened(path) as journal:
        await journal.admit(admitted())
        await journal.answer(admitted(), b"reply")
        journal.delivered(admitted().key, b"reply")
        assert journal.undelivered() == [admitted().key]
        while journal.undelivered():
            await asyncio.sleep(0.01)


async def test_attempts_are_counted_but_those_that_an_orderly_end_interrupts(path):
    async with opened(path) as journal:
        await journal.admit(admitted("waiting"))
        await journal.admit(admitted("begun"), begun=True)
        await journal.begun(admitted("begun").key)
        await journal.admit(admitted("interrupted"), begun=True)
        journal.interrupted(admitted("interrupted").key)
    async with opened(path) as journal:
        attempts = {entry.admitted.key.id: entry.attempts for entry in journal.unanswered()}
        assert attempts == {"waiting": 0, "begun": 2, "interrupted": 0}


async def test_clips_are_files_of_their_own_until_the_answer(path):
    async with opened(path) as journal:
        await journal.admit(admitted("spoken", clip=b"RIFF1"))
        await journal.admit(admitted("waiting", clip=b"RIFF2"))
        assert sorted(clip.read_bytes() for clip in clips(path)) == [b"RIFF1", b"RIFF2"]
        assert {clip.stat().st_mode & 0o077 for clip in [*clips(path), clips(path)[0].parent]} == {0}
        await journal.answer(admitted("spoken", clip=b"RIFF1"), b"reply")
        assert [clip.read_bytes() for clip in clips(path)] == [b"RIFF2"]
    clips(path)[0].with_name("orphan.wav").write_bytes(b"of a crash between file and row")
    async with opened(path) as journal:
        assert [clip.read_bytes() for clip in clips(path)] == [b"RIFF2"]
        assert left(journal) == [admitted("waiting", clip=b"RIFF2")]


async def test_a_clip_asked_again_is_not_removed_with_the_answer_to_the_first(path):
    async with opened(path) as journal:
        first, again = admitted(clip=b"RIFF"), admitted(clip=b"RIFF", arrived_at=2.0)
        await asyncio.gather(journal.admit(first), journal.answer(first, b"cancelled"), journal.admit(again))
        assert left(journal) == [again]


async def test_only_old_answers_are_forgotten(path):
    async with opened(path) as journal:
        await journal.admit(admitted("waiting"))
        await journal.admit(admitted("answered"))
        await journal.answer(admitted("answered"), b"reply")
    async with opened(path) as journal:
        await journal.admit(admitted("after"))
        assert journal.answered(RunKey("demo", "answered"))
    async with opened(path, dedup_window_s=0.0) as journal:
        await journal.admit(admitted("later"))
        await journal.begun(RunKey("demo", "later"))
        assert journal.answered(RunKey("demo", "answered")) is None
        assert [entry.key.id for entry in left(journal)] == ["waiting", "after", "later"]


@pytest.mark.parametrize("bounds", [{"max_replies": 3}, {"max_bytes": 31}])
async def test_over_a_bound_the_oldest_answers_are_forgotten_and_nothing_that_waits(path, bounds):
    async with opened(path, **bounds) as journal:
        await journal.admit(admitted("waiting"))
        for number in range(5):
            await journal.admit(admitted(str(number)))
            await journal.answer(admitted(str(number)), b"ten bytes.")
        await journal.begun(RunKey("demo", "waiting"))
        kept = [number for number in range(5) if journal.answered(RunKey("demo", str(number)))]
        assert kept == [2, 3, 4]
        assert [entry.key.id for entry in left(journal)] == ["waiting"]


async def test_ages_are_told_by_a_clock_that_nobody_sets(path, monkeypatch):
    async with opened(path) as journal:
        await journal.admit(admitted(arrived_at=1e9))  # long ago, says the clock on the wall
        assert journal.unanswered()[0].age_s < 60
        monkeypatch.setattr(clock, "_boot_id", lambda: "the next boot")
        assert journal.unanswered()[0].age_s > 1e8


@pytest.mark.parametrize(
    ("earlier", "later", "age_s"),
    [
        (Moment(1e9, "one", 10.0), Moment(2e9, "one", 15.0), 5.0),
        (Moment(2e9, "one", 10.0), Moment(1e9, "one", 15.0), 5.0),
        (Moment(100.0, "one", 10.0), Moment(105.0, "two", 1.0), 5.0),
        (Moment(100.0, None, None), Moment(105.0, "two", 1.0), 5.0),
        (Moment(105.0, "one", 10.0), Moment(100.0, "two", 1.0), 0.0),
    ],
)
def test_a_moment_is_never_before_an_earlier_one(earlier, later, age_s):
    assert earlier.until(later) == age_s


async def test_a_request_taken_on_again_has_no_outcome_yet(path):
    async with opened(path) as journal:
        await journal.admit(admitted())
        await journal.answer(admitted(), b"cancelled")
        await journal.admit(admitted())
        assert journal.answered(admitted().key) is None
        assert left(journal) == [admitted()]


async def test_a_row_that_cannot_be_read_stops_nobody(path):
    async with opened(path) as journal:
        for request_id, clip in (("strange", None), ("silent", b"RIFF"), ("fine", None)):
            await journal.admit(admitted(request_id, clip=clip))
        await journal._database.write(
            Statement("UPDATE request SET envelope = '{\"new\": 1}' WHERE id = ?", ("strange",))
        )
        clips(path)[0].unlink()
        for _ in range(2):
            assert [entry.key.id for entry in left(journal)] == ["fine"]


async def test_a_value_that_cannot_be_written_fails_alone(path, monkeypatch):
    async with opened(path) as journal:
        hold = threading.Event()
        monkeypatch.setattr(journal._database._writer, "_using", _Gate(hold))  # so that all three go into one commit
        writes = [journal.admit(admitted("first"))]
        await asyncio.sleep(0)
        strange = Admitted(RunKey("demo", "strange"), Operation.CHAT, admitted().request, None, ReplyTo("\ud800"), 1.0)
        writes += [journal.admit(each) for each in (admitted("a"), strange, admitted("b"))]
        hold.set()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), type(None), StorageError, type(None)]
        assert not journal.broken
        assert [entry.key.id for entry in left(journal)] == ["first", "a", "b"]


class _Gate:
    """A lock that is free once an event is set."""

    def __init__(self, event):
        self._event = event

    def __enter__(self):
        self._event.wait()

    def __exit__(self, *exc_info):
        pass


async def test_the_file_of_the_release_before_is_taken_over_with_all_it_has(path):
    waiting = admitted("waiting", clip=b"RIFF", arrived_at=1e9)
    _write_version_0(path, waiting)
    for _ in range(2):
        async with opened(path, dedup_window_s=1e12) as journal:
            [entry] = journal.unanswered()
            assert (entry.admitted, entry.attempts) == (waiting, 0)
            assert entry.age_s > 1e8
            answered = journal.answered(RunKey("demo", "done"))
            assert answered
            assert answered.reply == b"reply"
            assert journal.undelivered() == [RunKey("demo", "done")]


def _write_version_0(path, waiting):
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE request (client TEXT NOT NULL, id TEXT NOT NULL, operation TEXT NOT NULL, digest BLOB NOT NULL,
                envelope BLOB, clip BLOB, reply_topic TEXT NOT NULL, correlation_data BLOB, arrived_at REAL NOT NULL,
                reply BLOB, answered_at REAL, delivered INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (client, id));
            CREATE INDEX unanswered ON request (arrived_at) WHERE reply IS NULL;
            CREATE INDEX answered ON request (answered_at) WHERE reply IS NOT NULL;
            """
        )
        insert = "INSERT INTO request VALUES (?, ?, 'chat', ?, ?, ?, ?, ?, ?, ?, ?, 0)"
        parts = (waiting.digest, waiting.request.encode(), waiting.clip, *waiting.reply_to, waiting.arrived_at)
        connection.execute(insert, (*waiting.key, *parts, None, None))
        connection.execute(insert, ("demo", "done", b"", None, None, "reply/demo/done", None, 1e9, b"reply", 1e9))
    connection.close()


async def test_one_journal_is_one_agents(path):
    async with opened(path):
        with pytest.raises(StorageError, match=r"journal\.db cannot be opened: another agent has it"):
            await opened(path).__aenter__()
    async with opened(path):
        pass


async def test_nobody_else_may_read_it(path):
    async with opened(path):
        assert path.stat().st_mode & 0o077 == 0


def test_the_digest_sees_what_is_asked_not_how_it_was_sent():
    same = admitted().request.model_copy(update={"deadline_ms": 5, "reply_to": "x"})
    as_sent_again = Admitted(RunKey("demo", "r1"), Operation.CHAT, same, None, ReplyTo("elsewhere"), 0.0)
    assert as_sent_again.digest == admitted().digest
    assert admitted(text="Ho").digest != admitted().digest
    assert admitted(clip=b"RIFF").digest != admitted().digest


async def test_what_is_said_of_a_former_reply_is_not_said_of_the_next(path):
    async with opened(path) as journal:
        for reply in (b"cancelled", b"ok"):
            await journal.admit(admitted())
            await journal.answer(admitted(), reply)
        journal.delivered(admitted().key, b"cancelled")
    async with opened(path) as journal:
        assert journal.undelivered() == [admitted().key]
