"""Whatever is done to a journal, and however often its process is killed: it knows what was committed, and no more."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.journal.entries import Bounds
from agent.journal.journal import Journal
from tests.journal.entries import admitted

REQUESTS = [
    admitted(str(number), clip=b"RIFF" if number % 2 else None, arrived_at=float(number)) for number in range(4)
]

steps = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["admit", "begin", "interrupt", "answer", "deliver"]),
            st.integers(0, len(REQUESTS) - 1),
        ),
        st.tuples(st.sampled_from(["forget", "crash"]), st.just(0)),
    ),
    max_size=12,
)


class Model:
    """The journal, as a dictionary."""

    def __init__(self):
        self.rows = {}

    def apply(self, step, number):
        row: Any = self.rows.get(number)
        open_ = row is not None and row["reply"] is None
        if step == "admit":
            self.rows.pop(number, None)
            self.rows[number] = {"reply": None, "attempts": 0, "delivered": False}
        elif step == "answer":
            row = self.rows.setdefault(number, {"attempts": 0, "delivered": False})
            row["reply"] = b"reply %d" % number
        elif step == "begin" and open_:
            row["attempts"] += 1
        elif step == "interrupt" and open_:
            row["attempts"] = max(0, row["attempts"] - 1)
        elif step == "deliver" and row and row["reply"] is not None:
            row["delivered"] = True
        elif step == "forget":
            self.rows = {number: row for number, row in self.rows.items() if row["reply"] is None}

    @property
    def unanswered(self):
        return [(REQUESTS[number], row["attempts"]) for number, row in self.rows.items() if row["reply"] is None]

    @property
    def undelivered(self):
        return [REQUESTS[n].key for n, row in self.rows.items() if row["reply"] is not None and not row["delivered"]]


async def do(journal, step, number):
    request = REQUESTS[number]
    if step == "admit":
        await journal.admit(request)
    elif step == "begin":
        await journal.begun(request.key)
    elif step == "interrupt":
        journal.interrupted(request.key)
    elif step == "answer":
        await journal.answer(request, b"reply %d" % number)
    elif step == "deliver":
        journal.delivered(request.key, b"reply %d" % number)
    elif step == "forget":
        journal._bounds = Bounds(dedup_window_s=-1.0)
        journal._forget()
        journal._bounds = Bounds()


def seen(journal):
    return (
        [(entry.admitted, entry.attempts) for entry in journal.unanswered()],
        journal.undelivered(),
        [answered.reply if (answered := journal.answered(request.key)) else None for request in REQUESTS],
    )


@asynccontextmanager
async def killed(folder):
    """What the process that is killed now leaves: its files as they are, with nothing closed."""
    with TemporaryDirectory(dir=folder.parent) as copy:
        left = Path(shutil.copytree(folder, Path(copy) / "left"))
        (left / "journal.db.lock").unlink()
        async with Journal(left / "journal.db", synchronous="NORMAL") as journal:
            yield journal


async def follow(folder, plan):
    model = Model()
    async with Journal(folder / "journal.db", synchronous="NORMAL") as journal:
        for step, number in plan:
            model.apply(step, number)
            await do(journal, step, number)
            if step == "crash":
                await journal.begun(admitted("nobody").key)  # what is noted soon, is noted now
                async with killed(folder) as after:
                    expected = (
                        model.unanswered,
                        model.undelivered,
                        [model.rows.get(number, {}).get("reply") for number in range(len(REQUESTS))],
                    )
                    assert seen(after) == expected == seen(journal)


@pytest.mark.once
@settings(max_examples=30)
@given(plan=steps)
def test_a_journal_is_a_dictionary_that_is_not_lost(plan):
    with TemporaryDirectory() as root:
        folder = Path(root) / "journal"
        folder.mkdir()
        asyncio.run(follow(folder, [*plan, ("crash", 0)]))
