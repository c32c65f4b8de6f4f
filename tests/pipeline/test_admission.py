"""The gate: bounds with an honest `busy`, turns in order, and what was taken on before a restart."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract.errors import ErrorCode
from agent.contract.events import EventType
from agent.contract.limits import Limits
from agent.contract.messages import Request
from agent.contract.terms import Operation, RunState, Stage
from agent.errors import Busy, NotReady
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.pipeline.admission import Admission, Standing
from agent.pipeline.run import Run
from agent.pipeline.telling import Teller
from tests.fakes import FakeListener
from tests.wav_files import sine, wav

pytestmark = pytest.mark.anyio

SECOND = wav(sine(seconds=1.0))


def run(request_id, client="demo", *, clip=None, priority=0, listener=None, text="Hi", deadline_ms=None, age_s=0.0):
    key = RunKey(client, request_id)
    request = Request(text=text, priority=priority, deadline_ms=deadline_ms)
    admitted = Admitted(key, Operation.CHAT, request, clip, ReplyTo("reply"), 0.0)
    return Run(admitted, frozenset({Stage.LLM}), Teller(request_id, listener, age_s=age_s))


def admission(*, max_concurrent=1, trusted=(), **limits):
    gate = Admission(Limits(**limits), max_concurrent=max_concurrent, trusted=trusted)
    gate.open()
    return gate


class Turn:
    """A run that has been taken on and asks for its turn; it keeps it until `end`."""

    def __init__(self, gate, admitted_run):
        self.run = admitted_run
        self.has_begun = asyncio.Event()
        self._end = asyncio.Event()
        gate.admit(admitted_run)
        self._gate = gate
        self._task = asyncio.create_task(self._take())

    async def _take(self):
        try:
            async with self._gate.turn(self.run):
                self.has_begun.set()
                await self._end.wait()
        finally:
            self._gate.release(self.run)

    async def end(self):
        self._end.set()
        await self._task

    async def leave(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def settle():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_over_the_bound_is_busy_with_a_time_to_come_back():
    gate = admission(max_queued=2)
    gate.admit(run("a"))
    gate.admit(run("b"))
    assert gate.full
    with pytest.raises(Busy) as caught:
        gate.admit(run("c"))
    assert (caught.value.code, caught.value.queue_depth, caught.value.limit) == (ErrorCode.BUSY, 2, 2)
    assert caught.value.retry_after_ms
    assert 100 <= caught.value.retry_after_ms <= 60_000
    gate.release(gate.find(RunKey("demo", "a")))
    gate.admit(run("c"))


async def test_one_client_cannot_take_all_the_room_unless_it_stands_for_many():
    gate = admission(max_queued=9, max_queued_per_client=1, trusted=("bridge",))
    gate.admit(run("a"))
    with pytest.raises(Busy, match="1 requests of demo"):
        gate.admit(run("b"))
    gate.admit(run("b", client="other"))
    for request_id in "abc":
        gate.admit(run(request_id, client="bridge"))


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"max_queued_bytes": 70_000}, "bytes wait"),
        ({"max_queued_bytes_per_client": 70_000}, "bytes of demo"),
        ({"max_queued_audio_s": 2.5}, "seconds of audio wait"),
        ({"max_queued_audio_s_per_client": 2.5}, "seconds of audio of demo"),
    ],
)
async def test_bytes_and_seconds_are_bounded_too(limits, what):
    gate = admission(**limits)
    gate.admit(run("a", clip=SECOND))
    gate.admit(run("b", clip=SECOND))
    assert gate.queued_bytes >= 2 * len(SECOND)
    with pytest.raises(Busy, match=what):
        gate.admit(run("c", clip=SECOND))
    gate.release(gate.find(RunKey("demo", "a")))
    gate.admit(run("c", clip=SECOND))


async def test_a_request_that_is_larger_than_the_bound_has_room_when_it_is_alone():
    gate = admission(max_queued_bytes=1_024, max_queued_audio_s=0.5)
    gate.admit(run("a", clip=SECOND))
    with pytest.raises(Busy):
        gate.admit(run("b"))
    gate.release(gate.find(RunKey("demo", "a")))
    assert gate.queued_bytes == 0
    gate.admit(run("b"))


async def test_a_clip_that_cannot_be_read_has_no_length():
    gate = admission(max_queued_audio_s=0.1)
    gate.admit(run("a", clip=b"RIFF"))
    gate.admit(run("b", clip=b"RIFF"))


async def test_while_the_engines_load_the_queue_fills_and_then_says_why():
    gate = Admission(Limits(max_queued=1), max_concurrent=1)
    gate.admit(run("a"))
    with pytest.raises(NotReady):
        gate.admit(run("b"))


async def test_what_was_taken_on_before_is_exempt_from_the_bounds():
    gate = admission(max_queued=1)
    gate.admit(run("a"))
    gate.admit(run("b"), exempt=True)
    assert gate.queued == 2


async def test_nothing_begins_before_the_engines_are_ready():
    gate = Admission(Limits(), max_concurrent=1)
    turns = [Turn(gate, run(name)) for name in "abc"]
    await settle()
    assert gate.running == 0
    assert gate.standing(turns[1].run) == Standing(RunState.QUEUED, 1, None), "nobody can tell when"
    gate.open()
    for turn in turns:
        await turn.has_begun.wait()
        assert gate.running == 1
        await turn.end()
    assert (gate.running, gate.queued) == (0, 0)


async def test_turns_go_round_between_clients_and_by_priority_within_one():
    gate = admission()
    first = Turn(gate, run("first"))
    await settle()
    greedy = [Turn(gate, run(name, client="greedy", priority=p)) for name, p in [("g1", 0), ("g2", 0), ("g3", 5)]]
    modest = Turn(gate, run("m1", client="modest"))
    await settle()
    order = [greedy[2], modest, greedy[0], greedy[1]]
    assert [gate.standing(turn.run).position for turn in order] == [0, 1, 2, 3]
    await first.end()
    for turn in order:
        await turn.has_begun.wait()
        assert gate.standing(turn.run).state is RunState.RUNNING
        await turn.end()


async def test_who_leaves_the_line_makes_room_and_costs_no_turn():
    gate = admission()
    first, second, third = (Turn(gate, run(name)) for name in "abc")
    await settle()
    await second.leave()
    assert gate.standing(third.run).position == 0
    await first.end()
    await third.has_begun.wait()
    await third.end()


async def test_a_turn_that_comes_to_who_is_just_leaving_goes_to_the_next():
    gate = admission()
    first, second, third = (Turn(gate, run(name)) for name in "abc")
    await settle()
    leaving = asyncio.create_task(second.leave())
    await asyncio.gather(first.end(), leaving)
    await asyncio.wait_for(third.has_begun.wait(), 5)
    await third.end()
    assert gate.running == 0


async def test_who_waits_is_told_where_it_stands_and_again_as_it_moves_up():
    gate = admission()
    caller = FakeListener()
    first, second = (Turn(gate, run(name)) for name in "ab")
    third = Turn(gate, run("c", listener=caller))
    event = await caller.until(EventType.QUEUED)
    assert (event.position, event.seq) == (1, 0)
    assert event.eta_ms
    caller.heard.clear()
    await first.end()
    event = await caller.until(EventType.QUEUED)
    assert (event.position, event.seq) == (0, 1)
    await second.end()
    await third.end()
    assert caller.heard == [event]


async def test_who_takes_the_place_of_another_needs_no_room_of_its_own():
    gate = admission(max_queued_per_client=2)
    first, second = run("a"), run("b")
    gate.admit(first)
    gate.admit(second)
    with pytest.raises(Busy):
        gate.admit(run("c"))
    gate.admit(run("c"), instead_of=[second])
    assert gate.find(RunKey("demo", "c"))


async def test_who_need_not_wait_is_told_nothing():
    gate = admission()
    caller = FakeListener()
    turn = Turn(gate, run("a", listener=caller))
    await turn.has_begun.wait()
    await turn.end()
    assert caller.heard == []


async def test_overdue_is_what_is_held_past_its_deadline():
    gate = admission()
    gate.admit(run("a", deadline_ms=60_000))
    assert gate.overdue_s == 0
    gate.admit(run("b", deadline_ms=1_000, age_s=3.0))
    assert gate.overdue_s == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize("limits", [{"max_queued": 4}, {"max_queued_per_client": 4}])
async def test_who_comes_back_when_told_to_is_let_in(limits):
    """Turns of 50 ms, four held at once; each refused one waits as long as it was told, once."""
    gate = admission(max_concurrent=2, **limits)
    done = []

    async def work(number):
        asking = run(str(number))
        try:
            gate.admit(asking)
        except Busy as busy:
            await asyncio.sleep((busy.retry_after_ms or 0) / 1_000)
            gate.admit(asking)
        async with gate.turn(asking):
            await asyncio.sleep(0.05)
        gate.release(asking)
        done.append(number)

    await asyncio.gather(work(0), work(1))  # so that the pace is known
    held = [asyncio.create_task(work(number)) for number in range(2, 6)]
    await asyncio.sleep(0.01)
    await work(6)
    await asyncio.gather(*held)
    assert len(done) == 7


STEPS = st.lists(
    st.tuples(st.sampled_from(["admit", "end", "leave"]), st.sampled_from("abc"), st.integers(0, 2)), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
async def test_whatever_happens_no_bound_is_passed_and_no_turn_is_lost(steps):
    gate = admission(max_concurrent=2, max_queued=6, max_queued_per_client=3)
    turns = []
    for number, (step, client, priority) in enumerate(steps):
        if step == "admit":
            try:
                turns.append(Turn(gate, run(str(number), client, priority=priority)))
            except Busy:
                assert len(turns) == 6 or sum(turn.run.key.client == client for turn in turns) == 3
        elif turns:
            turn = turns.pop(priority % len(turns))
            if step == "end" and turn.has_begun.is_set():
                await turn.end()
            else:
                await turn.leave()
        await settle()
        assert gate.running == min(2, len(turns)) == sum(turn.has_begun.is_set() for turn in turns)
        assert gate.queued == len(turns) - gate.running
        assert len(turns) <= 6
    for turn in turns:
        await turn.leave()
    assert (gate.running, gate.queued, gate.queued_bytes, gate.full) == (0, 0, 0, False)
