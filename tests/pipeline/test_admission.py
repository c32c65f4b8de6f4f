"""The gate: bounds with an honest `busy`, turns in order, and what was taken on before a restart."""

import asyncio

import pytest

from agent.contract.errors import ErrorCode
from agent.contract.limits import Limits
from agent.contract.messages import Request
from agent.contract.terms import Operation, Stage
from agent.errors import Busy, NotReady
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.pipeline.admission import Admission
from agent.pipeline.run import Run

pytestmark = pytest.mark.anyio


def run(request_id, client="demo"):
    key = RunKey(client, request_id)
    admitted = Admitted(key, Operation.CHAT, Request(text="Hi"), None, ReplyTo("reply"), 0.0)
    return Run(admitted, frozenset({Stage.LLM}))


def admission(**limits):
    gate = Admission(Limits(**limits), max_concurrent=1)
    gate.open()
    return gate


async def test_over_the_bound_is_busy_with_a_time_to_come_back():
    gate = admission(max_queued=2)
    gate.admit(run("a"))
    gate.admit(run("b"))
    assert gate.full
    with pytest.raises(Busy) as caught:
        gate.admit(run("c"))
    assert caught.value.code is ErrorCode.BUSY
    assert caught.value.retry_after_ms
    assert caught.value.retry_after_ms >= 100
    gate.release(gate.find(RunKey("demo", "a")))
    gate.admit(run("c"))


async def test_one_client_cannot_take_all_the_room():
    gate = admission(max_queued=9, max_queued_per_client=1)
    gate.admit(run("a"))
    with pytest.raises(Busy):
        gate.admit(run("b"))
    gate.admit(run("b", client="other"))


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


async def test_turns_come_one_after_the_other_in_order():
    gate = Admission(Limits(), max_concurrent=1)
    order = []

    async def take(name):
        async with gate.turn():
            order.append((name, gate.running))
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert order == [], "nothing begins before the engines are ready"
    gate.open()
    await asyncio.gather(*tasks)
    assert order == [("a", 1), ("b", 1), ("c", 1)]
    assert gate.running == 0
