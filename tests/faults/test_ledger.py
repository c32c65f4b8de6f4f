"""The judge sees what it is there to see."""

import json
import sqlite3
from contextlib import closing

import pytest

from agent.stack import Part
from tests.faults.ledger import Ledger, judge

pytestmark = pytest.mark.once


def ok(request_id, **fields):
    return {"id": request_id, "status": "ok", "text": request_id, **fields}


BUSY = {"id": "a", "status": "error", "error": {"code": "busy"}}


@pytest.fixture
def judged(tmp_path):
    """The judgement over a ledger, the times at which ids were executed, and the replies in the journal."""

    def judged(ledger, executed, recorded):
        executions, journal = tmp_path / "executions", tmp_path / "journal.db"
        executions.write_text("".join(json.dumps({"time": at, "question": i}) + "\n" for i, at in executed))
        with closing(sqlite3.connect(journal)) as database, database:
            database.execute("CREATE TABLE request (id, reply)")
            database.executemany("INSERT INTO request VALUES (?, ?)", [(r["id"], json.dumps(r)) for r in recorded])
        return judge(ledger, executions=executions, journal=journal)

    return judged


@pytest.fixture
def ledger():
    """One request, sent."""
    ledger = Ledger()
    ledger.sent("a")
    return ledger


def test_one_outcome_heard_twice_is_kept_word(ledger, judged):
    ledger.sent("a")
    ledger.heard(BUSY)
    ledger.heard(ok("a"))
    ledger.heard(ok("a", replayed=True))
    verdict = judged(ledger, [("a", 1.0)], [ok("a")])
    assert not verdict.violations
    assert (verdict.sent, verdict.resent, verdict.extra, verdict.refusals, verdict.repeated) == (1, 1, 1, 1, 0)


def test_silence_is_a_loss_and_so_is_a_refusal(ledger, judged):
    ledger.heard(BUSY)
    assert judged(ledger, [], []).violations == {"lost": {"a"}}


def test_two_answers_contradict_each_other(ledger, judged):
    ledger.heard(ok("a"))
    ledger.heard({**ok("a"), "text": "b"})
    assert judged(ledger, [("a", 1.0)], [ok("a")]).violations == {"contradicted": {"a"}}


@pytest.mark.parametrize("recorded", [[], [{**ok("a"), "text": "b"}], [ok("a"), ok("a")]])
def test_the_journal_has_what_was_heard_once(ledger, judged, recorded):
    ledger.heard(ok("a"))
    assert judged(ledger, [("a", 1.0)], recorded).violations == {"unrecorded": {"a"}}


def test_an_answer_to_nobody_is_seen(ledger, judged):
    ledger.heard(ok("a"))
    ledger.heard(ok("b"))
    assert judged(ledger, [("a", 1.0), ("b", 1.0)], [ok("a"), ok("b")]).violations == {"stray": {"b"}}


def test_an_answer_that_nobody_worked_on_is_seen(ledger, judged):
    ledger.heard(ok("a"))
    assert judged(ledger, [], [ok("a")]).violations == {"imagined": {"a"}}


@pytest.mark.parametrize(("part", "unexplained"), [(Part.AGENT, set()), (Part.BROKER, {"a"})])
def test_work_is_done_again_only_where_the_agent_was_killed(ledger, judged, part, unexplained):
    ledger.heard(ok("a"))
    ledger.killed(part)
    [(at, _)] = ledger.kills
    verdict = judged(ledger, [("a", at - 1), ("a", at + 1)], [ok("a")])
    assert verdict.violations.get("unexplained", set()) == unexplained
    assert verdict.repeated == 1
