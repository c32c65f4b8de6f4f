"""Requests of one connection, by what makes each of them one."""

import asyncio

import pytest

from agent.client.exchange import Exchange, NoReply
from agent.contract.errors import ContractError
from agent.contract.reply import Reply
from agent.contract.terms import Status
from agent.mqtt.message import Delivery, Message, Publication

pytestmark = pytest.mark.anyio

KEY = ("demo", "r1")
ASKED = Publication("request", b"{}", correlation_data=b"mark")


@pytest.fixture
def sent():
    """What was published."""
    return []


def replied(status):
    return Message("reply", Reply(id="r1", status=status, agent="orin").encode(), correlation_data=b"mark")


@pytest.fixture
async def exchange(sent):
    def publish(publication):
        sent.append(publication)
        delivery = asyncio.get_running_loop().create_future()
        delivery.set_result(Delivery.DONE)
        return delivery

    asked = Exchange(publish, judge=lambda *_: None)
    yield asked
    assert not asked._pending
    asked.close()


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_who_asks_again_does_not_hear_the_end_of_what_was_given_up(exchange):
    exchange.give_up(KEY)
    with exchange.asking(KEY, ASKED) as reply:
        for status in (Status.CANCELLED, Status.OK):
            exchange.hear(KEY, replied(status))
        assert (await reply(5)).status is Status.OK


async def test_who_waits_hears_that_it_was_given_up(exchange):
    with exchange.asking(KEY, ASKED) as reply:
        exchange.give_up(KEY)
        exchange.hear(KEY, replied(Status.CANCELLED))
        assert (await reply(5)).status is Status.CANCELLED


@pytest.mark.parametrize("passed", range(4))
@pytest.mark.parametrize(
    "leaves", [lambda task, _: task.cancel(), lambda _, hear: hear()], ids=["cancelled", "answered"]
)
async def test_who_asks_while_another_leaves_has_a_reply(exchange, leaves, passed):
    other = asyncio.create_task(exchange.ask(KEY, ASKED, 5))
    await turns(2)
    leaves(other, lambda: exchange.hear(KEY, replied(Status.OK)))
    await turns(passed)
    with exchange.asking(KEY, ASKED) as reply:
        replying = asyncio.ensure_future(reply(5))
        await asyncio.gather(other, return_exceptions=True)
        exchange.hear(KEY, replied(Status.OK))
        assert (await replying).status is Status.OK


async def test_who_was_answered_does_not_keep_another_from_asking_again(exchange, sent):
    with exchange.asking(KEY, ASKED) as first:
        exchange.hear(KEY, replied(Status.CANCELLED))
        with exchange.asking(KEY, ASKED) as second:
            exchange.hear(KEY, replied(Status.OK))
            assert [(await each(5)).status for each in (first, second)] == [Status.CANCELLED, Status.OK]
    assert sent == [ASKED, ASKED]


async def test_one_request_has_one_copy_and_another_of_its_id_is_a_conflict(exchange, sent):
    with exchange.asking(KEY, ASKED) as first, exchange.asking(KEY, ASKED) as second:
        with pytest.raises(ContractError, match="in use"), exchange.asking(KEY, Publication("request", b"[]")):
            pass
        exchange.hear(KEY, replied(Status.OK))
        assert await first(5) is await second(5)
    assert sent == [ASKED]


async def test_silence_is_no_reply(exchange):
    with pytest.raises(NoReply):
        await exchange.ask(KEY, ASKED, 0.01)


async def test_not_everything_that_was_given_up_is_remembered(exchange):
    for number in range(2_000):
        exchange.give_up(("demo", str(number)))
    assert len(exchange._given_up) < 2_000
