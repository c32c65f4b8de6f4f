"""What the journal remembers, and what it says when it cannot."""

import asyncio

import pytest

from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.errors import StorageError
from agent.journal.requests import Admitted, Requests

pytestmark = pytest.mark.anyio


def admitted(request_id="r1", client="demo", text="Hi", clip=None, arrived_at=1.0):
    request = Request(id=request_id, text=text, metadata={"nested": [1, {"deep": None}]})
    topic = f"reply/{client}/{request_id}"
    return Admitted(client, request_id, Operation.CHAT, request, clip, topic, b"\x00", arrived_at)


async def test_what_was_taken_on_outlives_the_process_oldest_first(tmp_path):
    second, first = admitted("b", arrived_at=2.0, clip=b"RIFF"), admitted("a", arrived_at=1.0)
    async with Requests(tmp_path / "deep" / "journal.db", synchronous="NORMAL") as journal:
        await asyncio.gather(journal.admit(second), journal.admit(first))
    async with Requests(tmp_path / "deep" / "journal.db", synchronous="NORMAL") as journal:
        assert journal.unanswered() == [first, second]


async def test_an_answered_request_has_one_outcome_for_its_client(tmp_path):
    async with Requests(tmp_path / "journal.db", synchronous="FULL") as journal:
        for client in ("demo", "other"):
            await journal.admit(admitted(client=client))
        await journal.answer(admitted(), b"the reply")
        answered = journal.answered("demo", "r1")
        assert answered
        assert (answered.reply, answered.digest) == (b"the reply", admitted().digest)
        assert journal.answered("other", "r1") is None
        assert [entry.client for entry in journal.unanswered()] == ["other"]


async def test_only_old_answers_are_forgotten(tmp_path):
    async with Requests(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        for request_id in ("answered", "waiting"):
            await journal.admit(admitted(request_id))
        await journal.answer(admitted("answered"), b"reply")
        await journal.forget(older_than_s=60)
        assert journal.answered("demo", "answered")
        await journal.forget(older_than_s=-1)
        assert journal.answered("demo", "answered") is None
        assert [entry.id for entry in journal.unanswered()] == ["waiting"]


async def test_a_commit_that_fails_is_told_to_each_who_waits_for_it(tmp_path):
    async with Requests(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        await journal.admit(admitted("taken"))
        outcomes = await asyncio.gather(
            journal.admit(admitted("taken")), journal.admit(admitted("taken")), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StorageError, StorageError]
        await journal.admit(admitted("next"))
        assert len(journal.unanswered()) == 2


async def test_a_journal_that_cannot_be_opened_says_which_and_why(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    journal = Requests(tmp_path / "file" / "journal.db", synchronous="NORMAL")
    with pytest.raises(StorageError, match=r"journal\.db cannot be opened"):
        await journal.__aenter__()


async def test_nobody_else_may_read_it(tmp_path):
    async with Requests(tmp_path / "journal.db", synchronous="NORMAL"):
        assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0


def test_the_digest_sees_what_is_asked_not_how_it_was_sent():
    same = admitted().request.model_copy(update={"deadline_ms": 5, "reply_to": "x"})
    as_sent_again = Admitted("demo", "r1", Operation.CHAT, same, None, "elsewhere", None, 0.0)
    assert as_sent_again.digest == admitted().digest
    assert admitted(text="Ho").digest != admitted().digest
    assert admitted(clip=b"RIFF").digest != admitted().digest
