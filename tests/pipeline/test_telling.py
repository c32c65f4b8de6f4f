"""What a caller is told of its run: in order, the pieces of an answer together, signs of life while it takes long."""

import asyncio

import pytest

from agent.contract.events import EventType
from agent.contract.terms import Stage
from agent.pipeline import telling
from agent.pipeline.telling import Teller
from tests.fakes import FakeListener

pytestmark = pytest.mark.anyio


async def test_the_first_piece_comes_at_once_and_those_after_it_together():
    caller = FakeListener()
    teller = Teller("7", caller)
    for piece in ("It", " is", " noon", "."):
        teller.wrote(piece)
    assert [event.delta for event in caller.heard] == ["It"]
    teller.tell(EventType.LLM_END, text="It is noon.")
    assert [event.delta for event in caller.heard] == ["It", " is noon.", None]
    assert [event.seq for event in caller.heard] == [0, 1, 2]


async def test_pieces_do_not_wait_for_another_event():
    caller = FakeListener()
    teller = Teller("7", caller)
    teller.wrote("It")
    teller.wrote(" is")
    caller.came.clear()
    await caller.came.wait()
    assert [event.delta for event in caller.heard] == ["It", " is"]


async def test_nothing_is_told_after_the_end():
    caller = FakeListener()
    teller = Teller("7", caller)
    teller.wrote("It")
    teller.wrote(" is")
    teller.close()
    assert [event.delta for event in caller.heard] == ["It", " is"]
    await asyncio.sleep(2 * telling.TOKENS_TOGETHER_S)
    assert len(caller.heard) == 2


async def test_a_stage_that_takes_long_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr(telling, "HEARTBEAT_S", 0.01)
    caller = FakeListener()
    teller = Teller("7", caller)
    with teller.during(Stage.LLM):
        beat = await caller.until(EventType.HEARTBEAT)
        caller.heard.clear()
        await caller.until(EventType.HEARTBEAT)
    assert beat.stage is Stage.LLM
    beats = len(caller.heard)
    await asyncio.sleep(0.03)
    assert len(caller.heard) == beats


async def test_who_wants_no_events_hears_only_what_is_missing_of_its_clip():
    caller = FakeListener(events=False)
    teller = Teller("7", caller)
    teller.tell(EventType.ACCEPTED)
    teller.wrote("It")
    teller.tell(EventType.NACK, missing=(3,))
    assert [(event.type, event.seq) for event in caller.heard] == [(EventType.NACK, 0)]
