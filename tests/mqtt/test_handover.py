"""paho's thread hands over no more than the event loop takes."""

import asyncio
import threading

import pytest

from agent.mqtt.handover import Handover
from agent.mqtt.message import Message

pytestmark = pytest.mark.anyio


def handing(handover, taken, sizes):
    """A thread that hands over messages of these sizes, and the number it has handed over."""
    handed: list[int] = []

    def work():
        for size in sizes:
            handover.message(lambda message: taken.append(len(message.payload)), Message("x", bytes(size)))
            handed.append(size)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, handed


async def test_a_loop_that_is_busy_is_handed_no_more_than_the_limit():
    taken: list[int] = []
    handover = Handover(asyncio.get_running_loop(), limit_bytes=100)
    thread, handed = handing(handover, taken, [40] * 5)
    thread.join(0.2)  # the loop is held up meanwhile
    assert handed == [40, 40]
    assert not taken
    await asyncio.to_thread(thread.join, 10)
    assert taken == [40] * 5


async def test_one_message_over_the_limit_passes_alone():
    taken: list[int] = []
    handover = Handover(asyncio.get_running_loop(), limit_bytes=100)
    thread, _ = handing(handover, taken, [500, 500])
    await asyncio.to_thread(thread.join, 10)
    while len(taken) < 2:
        await asyncio.sleep(0)


async def test_who_waits_is_let_go_at_the_end():
    taken: list[int] = []
    handover = Handover(asyncio.get_running_loop(), limit_bytes=100)
    thread, _ = handing(handover, taken, [100] * 3)
    handover.close()
    thread.join(10)
    assert not thread.is_alive()


async def test_a_handler_that_fails_holds_nothing_up():
    handover = Handover(asyncio.get_running_loop(), limit_bytes=100)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def fail(_):
        raise LookupError("a bug")

    def work():
        for _ in range(3):
            handover.message(fail, Message("x", bytes(100)))

    await asyncio.wait_for(asyncio.to_thread(work), 10)
