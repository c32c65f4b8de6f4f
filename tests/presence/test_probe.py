"""The agent hears itself by way of the broker, and draws the right conclusions where it does not."""

import asyncio

import pytest

from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message, Publication, Subscription
from agent.presence.probe import LinkStuck, Probe, Word

pytestmark = pytest.mark.anyio

TOPICS = Topics()


class Broker:
    """A broker that gives back what it is sent, if it is told to."""

    def __init__(self, *, delivers=True):
        self.delivers = delivers
        self.connection = 1
        self.reconnects = 0
        self.acked: list[Message] = []
        self.sent: list[bytes] = []
        self.outbox_bytes = 0
        self.confirms = True
        self.alive = True
        self.probe: Probe

    @property
    def connected(self):
        return self.connection > 0

    async def wait_connected(self, timeout_s):
        while not self.connected:
            await asyncio.sleep(0.001)

    def publish(self, publication):
        self.sent.append(publication.payload)
        taken = asyncio.get_running_loop().create_future()
        if self.confirms:
            taken.set_result(Delivery.DONE)
        else:
            self.outbox_bytes += publication.packet_bytes
        if self.delivers:
            asyncio.get_running_loop().call_soon(self.probe.heard, Message(publication.topic, publication.payload))
        return taken

    def ack(self, message):
        self.acked.append(message)

    def reconnect(self):
        self.reconnects += 1
        self.connection += 1


@pytest.fixture
async def changes():
    return asyncio.Queue()


def probing(broker, changes, *, interval_s=0.01):
    broker.probe = Probe(TOPICS, broker, interval_s=interval_s, on_change=lambda: changes.put_nowait(None))
    broker.probe.connected()
    return broker.probe


async def running(probe):
    return asyncio.create_task(probe.run())


async def test_a_probe_that_comes_back_is_timed(changes):
    broker = Broker()
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    assert probe.round_trip_ms is not None
    assert probe.gets_on
    assert not probe.deaf
    task.cancel()


async def test_two_that_are_missed_cost_the_connection_and_two_more_the_agent(changes):
    broker = Broker()
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    broker.delivers = False
    with pytest.raises(LinkStuck, match="none of the last 4 probes"):
        await asyncio.wait_for(task, 10)
    assert broker.reconnects == 1
    assert task.exception().exit_status == 1


async def test_a_line_that_is_dead_in_both_directions_is_given_up_as_well(changes):
    broker = Broker()
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    broker.delivers = broker.confirms = False
    with pytest.raises(LinkStuck):
        await asyncio.wait_for(task, 10)
    assert broker.reconnects == 1


async def test_one_that_comes_back_makes_up_for_those_that_were_missed(changes):
    broker = Broker()
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    for _ in range(3):
        broker.delivers, before = False, broker.reconnects
        while broker.reconnects == before:
            await asyncio.sleep(0.001)
        broker.delivers = True
        await changes.get()
    assert not task.done()
    task.cancel()


async def test_where_none_ever_came_back_the_agent_stays_and_says_why(changes, caplog):
    broker = Broker(delivers=False)
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    assert probe.deaf
    assert probe.gets_on  # to be started again would mend nothing
    assert f"does the broker's ACL let us read and write {TOPICS.probe}" in caplog.text
    sent = len(broker.sent)
    while len(broker.sent) < sent + 4:
        await asyncio.sleep(0.001)
    assert not task.done()
    broker.delivers = True
    await changes.get()
    assert not probe.deaf
    task.cancel()


async def test_a_probe_behind_a_large_reply_on_a_slow_link_is_waited_for(changes):
    broker = Broker()
    probe = probing(broker, changes)
    task = await running(probe)
    await changes.get()
    broker.delivers, broker.confirms, broker.outbox_bytes = False, False, 8_000_000
    sent = len(broker.sent)
    while len(broker.sent) == sent:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)  # five intervals
    assert len(broker.sent) == sent + 1
    assert broker.reconnects == 0
    probe.heard(Message(TOPICS.probe, broker.sent[-1]))
    await changes.get()
    task.cancel()


async def test_while_the_broker_is_away_nothing_is_missed(changes):
    broker = Broker(delivers=False)
    probe = probing(broker, changes)
    broker.connection = 0
    task = await running(probe)
    await asyncio.sleep(0.05)
    assert not broker.sent
    assert probe.gets_on
    assert not task.done()
    task.cancel()


async def test_silence_on_a_connection_is_seen_by_the_watchdog_too(changes):
    broker = Broker()
    probe = probing(broker, changes, interval_s=0.001)
    await asyncio.sleep(0.01)  # nobody runs it
    assert not probe.gets_on
    probe.connected()
    assert probe.gets_on


async def test_who_asks_whether_it_lives_is_answered_and_every_message_is_acknowledged(changes):
    broker = Broker(delivers=False)
    probe = probing(broker, changes)
    for payload in (Word.WHO.with_number("7"), Word.PROBE.with_number("old"), Word.HERE.with_number("8"), b"\xff"):
        probe.heard(Message(TOPICS.probe, payload, qos=1))
    assert broker.sent == [Word.HERE.with_number("7")]
    assert len(broker.acked) == 4


def connection(broker, user, changes, *, interval_s):
    """A client of `user`, and the probe that goes by it."""
    client = MqttClient(
        broker.mqtt(user),
        client_id="probing",
        on_message=lambda message: heard(message),  # noqa: PLW0108 - there is no probe yet
        subscriptions=[Subscription(TOPICS.probe)],
    )
    probe = Probe(TOPICS, client, interval_s=interval_s, on_change=lambda: changes.put_nowait(None))
    heard = probe.heard
    return client, probe


@pytest.mark.parametrize(("user", "deaf"), [("agent", False), ("demo", True)])
async def test_the_shipped_acl_lets_the_agent_probe_and_nobody_else(broker, user, deaf, changes):
    client, probe = connection(broker, user, changes, interval_s=0.2 if deaf else 10)
    async with client:
        task = await running(probe)
        await asyncio.wait_for(changes.get(), 20)
        assert probe.deaf is deaf
        refused = await client.publish(Publication(TOPICS.probe, b"x"))
        assert (refused is Delivery.REFUSED) is deaf
        task.cancel()


async def test_a_network_thread_that_died_ends_the_agent(broker, changes):
    client, probe = connection(broker, "agent", changes, interval_s=0.05)
    async with client:
        task = await running(probe)
        await asyncio.wait_for(changes.get(), 20)
        client._link._live.loop_stop()
        with pytest.raises(LinkStuck, match="thread"):
            await asyncio.wait_for(task, 20)
