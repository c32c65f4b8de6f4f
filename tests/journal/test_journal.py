"""What the journal remembers, and what it says when it cannot."""

import asyncio

import pytest

from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.errors import StorageError
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.journal.journal import Journal

pytestmark = pytest.mark.anyio


def admitted(request_id="r1", client="demo", text="Hi", clip=None, arrived_at=1.0):
    request = Request(id=request_id, text=text, metadata={"nested": [1, {"deep": None}]})
    to = ReplyTo(f"reply/{client}/{request_id}", b"\x00")
    return Admitted(RunKey(client, request_id), Operation.CHAT, request, clip, to, arrived_at)


async def test_what_was_taken_on_outlives_the_process_oldest_first(tmp_path):
    second, first = admitted("b", arrived_at=2.0, clip=b"RIFF"), admitted("a", arrived_at=1.0)
    async with Journal(tmp_path / "deep" / "journal.db", synchronous="NORMAL") as journal:
        await asyncio.gather(journal.admit(second), journal.admit(first))
    async with Journal(tmp_path / "deep" / "journal.db", synchronous="NORMAL") as journal:
        assert journal.unanswered() == [first, second]


async def test_an_answered_request_has_one_outcome_for_its_client(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="FULL") as journal:
        for client in ("demo", "other"):
            await journal.admit(admitted(client=client))
        await journal.answer(admitted().key, b"the reply")
        answered = journal.answered(RunKey("demo", "r1"))
        assert answered
        assert (answered.reply, answered.digest) == (b"the reply", admitted().digest)
        assert journal.answered(RunKey("other", "r1")) is None
        assert [entry.key.client for entry in journal.unanswered()] == ["other"]


async def test_a_reply_is_undelivered_until_the_broker_has_it(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        for request_id in ("sent", "unsent"):
            await journal.admit(admitted(request_id))
            await journal.answer(admitted(request_id).key, b"reply")
        journal.delivered(admitted("sent").key)
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        assert journal.undelivered() == [(admitted("unsent").key, admitted("unsent").reply_to, b"reply")]


async def test_only_old_answers_are_forgotten(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        for request_id in ("answered", "waiting"):
            await journal.admit(admitted(request_id))
        await journal.answer(admitted("answered").key, b"reply")
        journal.forget(older_than_s=60)
        await journal.admit(admitted("after"))
        assert journal.answered(RunKey("demo", "answered"))
        journal.forget(older_than_s=-1)
        await journal.admit(admitted("later"))
        assert journal.answered(RunKey("demo", "answered")) is None
        assert [entry.key.id for entry in journal.unanswered()] == ["waiting", "after", "later"]


async def test_a_commit_that_fails_is_told_to_each_who_waits_for_it(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        journal._database._writer.execute("PRAGMA query_only = ON")  # as a disk that went read-only
        outcomes = await asyncio.gather(
            journal.admit(admitted("a")), journal.admit(admitted("b")), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StorageError, StorageError]
        journal._database._writer.execute("PRAGMA query_only = OFF")
        await journal.admit(admitted("next"))
        assert [entry.key.id for entry in journal.unanswered()] == ["next"]


async def test_a_request_taken_on_again_has_no_outcome_yet(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        await journal.admit(admitted())
        await journal.answer(admitted().key, b"cancelled")
        await journal.admit(admitted())
        assert journal.answered(admitted().key) is None
        assert journal.unanswered() == [admitted()]


async def test_a_row_that_cannot_be_read_stops_nobody(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        for request_id in ("strange", "fine"):
            await journal.admit(admitted(request_id))
        await journal._database.write("UPDATE request SET envelope = '{\"new\": 1}' WHERE id = 'strange'")
        for _ in range(2):
            assert [entry.key.id for entry in journal.unanswered()] == ["fine"]


async def test_one_journal_is_one_agents(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL"):
        with pytest.raises(StorageError, match="cannot be opened"):
            await Journal(tmp_path / "journal.db", synchronous="NORMAL").__aenter__()
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL"):
        pass


async def test_a_journal_that_cannot_be_opened_says_which_and_why(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    journal = Journal(tmp_path / "file" / "journal.db", synchronous="NORMAL")
    with pytest.raises(StorageError, match=r"journal\.db cannot be opened"):
        await journal.__aenter__()


async def test_nobody_else_may_read_it(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL"):
        assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0


def test_the_digest_sees_what_is_asked_not_how_it_was_sent():
    same = admitted().request.model_copy(update={"deadline_ms": 5, "reply_to": "x"})
    as_sent_again = Admitted(RunKey("demo", "r1"), Operation.CHAT, same, None, ReplyTo("elsewhere"), 0.0)
    assert as_sent_again.digest == admitted().digest
    assert admitted(text="Ho").digest != admitted().digest
    assert admitted(clip=b"RIFF").digest != admitted().digest
