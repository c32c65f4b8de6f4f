"""The outbox, without a broker: order, window, and packet identifiers that come round."""

import asyncio

import pytest

from agent.mqtt.message import Delivery, Publication
from agent.mqtt.outbox import Outbox

pytestmark = pytest.mark.anyio


class Wire:
    """What was sent, by packet identifier."""

    def __init__(self):
        self.sent: list[bytes] = []
        self.in_use = 0
        """How many of the next identifiers are still in use."""

    def send(self, publication):
        if self.in_use:
            self.in_use -= 1
            return None
        self.sent.append(publication.payload)
        return len(self.sent)


def add(outbox, *payloads):
    futures = [asyncio.get_running_loop().create_future() for _ in payloads]
    for payload, done in zip(payloads, futures, strict=True):
        outbox.add(Publication("t", payload), done)
    return futures


async def test_no_more_than_the_window_is_on_its_way():
    wire = Wire()
    outbox = Outbox(wire.send)
    outbox.begin(2, 1_000)
    one, two, three = add(outbox, b"1", b"2", b"3")
    assert wire.sent == [b"1", b"2"]
    outbox.confirm(2, Delivery.DONE)
    assert wire.sent == [b"1", b"2", b"3"]
    assert (one.done(), two.result(), three.done()) == (False, Delivery.DONE, False)


async def test_a_new_connection_gets_in_order_what_the_last_did_not_confirm():
    wire = Wire()
    outbox = Outbox(wire.send)
    outbox.begin(2, 1_000)
    add(outbox, b"1", b"2", b"3")
    outbox.confirm(1, Delivery.DONE)
    outbox.end()
    add(outbox, b"4")
    wire.sent.clear()
    outbox.begin(20, 1_000)
    assert wire.sent == [b"2", b"3", b"4"]


async def test_a_confirmation_of_the_last_connection_confirms_nothing():
    wire = Wire()
    outbox = Outbox(wire.send)
    outbox.begin(2, 1_000)
    [done] = add(outbox, b"1")
    outbox.end()
    outbox.confirm(1, Delivery.DONE)
    assert not done.done()


async def test_a_packet_identifier_that_is_still_in_use_is_no_loss():
    wire = Wire()
    outbox = Outbox(wire.send)
    outbox.begin(20, 1_000)
    [one] = add(outbox, b"1")
    wire.in_use = 1
    [two] = add(outbox, b"2")
    assert wire.sent == [b"1"]
    outbox.confirm(1, Delivery.DONE)
    assert wire.sent == [b"1", b"2"]
    outbox.confirm(2, Delivery.NO_SUBSCRIBERS)
    assert (one.result(), two.result()) == (Delivery.DONE, Delivery.NO_SUBSCRIBERS)
    assert outbox.bytes == 0


async def test_what_a_broker_with_a_smaller_limit_would_not_take_is_dropped():
    wire = Wire()
    outbox = Outbox(wire.send)
    large, small = add(outbox, bytes(500), b"x")
    outbox.begin(20, 100)
    assert large.result() is Delivery.REFUSED
    assert wire.sent == [b"x"]
    assert not small.done()
