"""Requests of one connection, by what makes each of them one."""

import asyncio

import pytest

from agent.client.exchange import Exchange
from agent.contract.reply import Reply
from agent.contract.terms import Status
from agent.mqtt.message import Delivery, Message, Publication

pytestmark = pytest.mark.anyio

KEY = ("demo", "r1")
ASKED = Publication("request", b"{}", correlation_data=b"mark")


def publish(_):
    delivery = asyncio.get_running_loop().create_future()
    delivery.set_result(Delivery.DONE)
    return delivery


def replied(status):
    return Message("reply", Reply(id="r1", status=status, agent="orin").encode(), correlation_data=b"mark")


@pytest.fixture
async def exchange():
    asked = Exchange(publish, judge=lambda *_: None)
    yield asked
    asked.close()


async def test_who_asks_again_does_not_hear_the_end_of_what_was_given_up(exchange):
    exchange.give_up(KEY)
    exchange.send(KEY, ASKED)
    reply = asyncio.create_task(exchange.reply(KEY, 5))
    await asyncio.sleep(0)
    for status in (Status.CANCELLED, Status.OK):
        exchange.hear(KEY, replied(status))
    assert (await reply).status is Status.OK


async def test_who_waits_hears_that_it_was_given_up(exchange):
    exchange.send(KEY, ASKED)
    reply = asyncio.create_task(exchange.reply(KEY, 5))
    await asyncio.sleep(0)
    exchange.give_up(KEY)
    exchange.hear(KEY, replied(Status.CANCELLED))
    assert (await reply).status is Status.CANCELLED


async def test_not_everything_that_was_given_up_is_remembered(exchange):
    for number in range(2_000):
        exchange.give_up(("demo", str(number)))
    assert len(exchange._given_up) < 2_000
