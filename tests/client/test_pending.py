"""A request on its way: copies until its reply is heard, and nothing else taken for its reply."""

import asyncio

import pytest

from agent.client import pending as module
from agent.client.pending import Pending
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.mqtt.message import Delivery, Message, PacketTooLarge, Publication

pytestmark = pytest.mark.anyio

MARK = b"mine"


class Broker:
    """Takes what is published, and says so where it is told to."""

    def __init__(self):
        self.copies: asyncio.Queue[tuple[Publication, asyncio.Future[Delivery]]] = asyncio.Queue()
        self.says = Delivery.DONE
        self.failure = None

    def publish(self, publication):
        if self.failure:
            raise self.failure
        delivery = asyncio.get_running_loop().create_future()
        if self.says:
            delivery.set_result(self.says)
        self.copies.put_nowait((publication, delivery))
        return delivery


@pytest.fixture
async def broker():
    return Broker()


@pytest.fixture
def hasty(monkeypatch):
    """Copies are sent at once; without, there are none while a test runs."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def pending(broker):
    waiting = Pending(
        Publication("request", b"{}", correlation_data=MARK), publish=broker.publish, judge=lambda _: None
    )
    waiting.send()
    yield waiting
    waiting.close()


def message(*, mark=MARK, error=None, **fields):
    status = Status.ERROR if error else Status.OK
    reply = Reply(id="r1", status=status, agent="orin", error=error and ErrorBody.of(error), **fields)
    return Message("reply", reply.encode(), correlation_data=mark)


@pytest.mark.usefixtures("hasty")
async def test_silence_is_asked_again_and_again(broker, pending):
    copies = [(await broker.copies.get())[0] for _ in range(4)]
    assert copies == [pending.publication] * 4
    pending.hear(message(text="once"))
    pending.hear(message(text="twice", replayed=True))
    assert (await pending.reply).text == "once"


async def test_a_copy_that_has_not_reached_the_broker_is_enough(broker):
    broker.says = None
    waiting = Pending(Publication("request", b"{}"), publish=broker.publish, judge=lambda _: None)
    waiting.send()
    _, delivery = broker.copies.get_nowait()
    waiting.again()
    assert broker.copies.empty()
    delivery.set_result(Delivery.DONE)
    waiting.again()
    assert not broker.copies.empty()
    waiting.close()


async def test_who_is_answered_asks_no_more(broker, pending):
    broker.copies.get_nowait()
    pending.hear(message())
    pending.again()
    assert broker.copies.empty()


async def test_replies_without_a_mark_are_taken(pending):
    pending.hear(message(mark=None, text="by MQTT 3.1.1"))
    assert (await pending.reply).text == "by MQTT 3.1.1"


async def test_what_is_said_of_another_request_of_its_id_is_not_its_reply(pending):
    pending.hear(message(mark=b"another", error=ContractError(ErrorCode.CONFLICT, "used")))
    pending.hear(message(mark=None, error=ContractError(ErrorCode.NOT_FOUND, "nothing to cancel", field="id")))
    assert not pending.reply.done()
    pending.hear(message(text="mine"))
    assert (await pending.reply).text == "mine"


BUSY = ContractError(ErrorCode.BUSY, "full", retry_after_ms=100)


async def test_a_refusal_is_the_reply(pending):
    pending.hear(message(error=BUSY))
    assert (await pending.reply).error.code is ErrorCode.BUSY


@pytest.mark.usefixtures("hasty")
async def test_the_refusal_of_a_copy_is_not(broker, pending):
    for _ in range(2):
        await broker.copies.get()
    pending.hear(message(error=BUSY))
    assert not pending.reply.done()
    assert pending.refusal.error.code is ErrorCode.BUSY
    pending.hear(message(text="after all"))
    assert (await pending.reply).text == "after all"


@pytest.mark.usefixtures("hasty")
async def test_a_broker_that_comes_back_with_a_smaller_limit(broker, pending):
    broker.failure = PacketTooLarge(10, 5)
    with pytest.raises(ContractError) as caught:
        await pending.reply
    assert (caught.value.code, caught.value.limit) == (ErrorCode.PAYLOAD_TOO_LARGE, 5)


@pytest.mark.usefixtures("hasty")
async def test_only_the_first_copy_tells_that_nobody_is_there(broker):
    def judge(delivery):
        return ContractError(ErrorCode.AGENT_OFFLINE, "gone") if delivery is Delivery.NO_SUBSCRIBERS else None

    lasting = Pending(Publication("request", b"{}"), publish=broker.publish, judge=judge)
    lasting.send()
    broker.says = Delivery.NO_SUBSCRIBERS
    for _ in range(3):
        await broker.copies.get()
    assert not lasting.reply.done()
    lasting.close()
    refused = Pending(Publication("request", b"{}"), publish=broker.publish, judge=judge)
    refused.send()
    with pytest.raises(ContractError, match="gone"):
        await refused.reply
    refused.close()
