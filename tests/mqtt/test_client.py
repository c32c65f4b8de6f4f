"""The MQTT client against a real Mosquitto that goes away, comes back, and says no."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Delivery, Message, PacketTooLarge, Publication, Subscription
from agent.mqtt.settings import MqttSettings
from agent.stack.ports import HOST

pytestmark = pytest.mark.anyio

REQUESTS = "edgevoice/v1/orin/request/demo/chat"


def settings(broker, user, **changes):
    defaults = {
        "password_file": broker.password_file(user),
        "reconnect_min_s": 0.05,
        "reconnect_max_s": 0.2,
    }
    return MqttSettings(host=HOST, port=broker.port, username=user, **{**defaults, **changes})


@asynccontextmanager
async def connected(broker, user="agent", filters=(), *, protocol="5", on_message=None, **options):
    """A client of `user`, and the queue of what it hears."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    client = MqttClient(
        settings(broker, user, protocol=protocol),
        client_id=options.pop("client_id", f"test-{user}"),
        on_message=on_message or heard.put_nowait,
        subscriptions=[Subscription(topic_filter) for topic_filter in filters],
        **options,
    )
    async with client:
        await client.wait_connected(10)
        yield client, heard


async def get(queue):
    return await asyncio.wait_for(queue.get(), 10)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_message_arrives_as_it_was_sent(broker, protocol):
    async with (
        connected(broker, "agent", ["edgevoice/v1/+/request/#"]) as (_, heard),
        connected(broker, "demo", protocol=protocol) as (demo, _),
    ):
        publication = Publication(REQUESTS, b"\x00\xff", content_type="audio/wav", correlation_data=b"\x01")
        assert await demo.publish(publication) is Delivery.DONE
        message = await get(heard)
        assert (message.topic, message.payload, message.qos) == (REQUESTS, b"\x00\xff", 1)
        properties = (message.content_type, message.correlation_data)
        assert properties == (("audio/wav", b"\x01") if protocol == "5" else (None, None))


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(broker):
    durable = {"filters": ["edgevoice/v1/+/request/#"], "session_expiry_s": 60}
    async with connected(broker, "demo") as (demo, _):
        async with connected(broker, **durable) as (agent, heard):
            for text in (b"first", b"second"):
                await demo.publish(Publication(REQUESTS, text))
            agent.ack(await get(heard))
            assert (await get(heard)).payload == b"second"
        async with connected(broker, **durable) as (agent, heard):
            again = await get(heard)
            assert again.payload == b"second"
            await demo.publish(Publication(REQUESTS, b"third"))
            assert (await get(heard)).payload == b"third"


async def test_an_acknowledgement_of_a_lost_connection_acknowledges_nothing(broker):
    durable = {"filters": ["edgevoice/v1/+/request/#"], "session_expiry_s": 60}
    async with connected(broker, "demo") as (demo, _), connected(broker, **durable) as (agent, heard):
        await demo.publish(Publication(REQUESTS, b"old"))
        old = await get(heard)
        await broker.kill()  # and with it its memory: packet identifiers begin anew
        await broker.start()
        await agent.wait_connected(10)
        await demo.wait_connected(10)
        await demo.publish(Publication(REQUESTS, b"new"))
        new = await get(heard)
        while new.payload == b"old":  # the broker may have saved it in time
            new = await get(heard)
        assert new.epoch > old.epoch
        agent.ack(old)
        await broker.stop()
        await broker.start()
        assert (await get(heard)).payload == b"new"


async def test_what_is_published_while_the_broker_is_away_arrives_later_in_order(broker):
    numbers = [b"%d" % number for number in range(50)]
    received: list[bytes] = []
    async with (
        connected(broker, "agent", ["edgevoice/v1/+/request/#"], session_expiry_s=60) as (agent, heard),
        connected(broker, "demo") as (demo, _),
    ):
        await broker.stop()
        deliveries = [demo.publish(Publication(REQUESTS, number)) for number in numbers]
        await broker.start()
        while len(received) < len(numbers):
            message = await get(heard)
            received.append(message.payload)
            agent.ack(message)
        assert await asyncio.gather(*deliveries) == [Delivery.DONE] * len(numbers)
    assert received == numbers


async def test_large_and_small_publications_keep_their_order(broker):
    payloads = [bytes([number]) * (400_000 if number % 3 == 0 else 10) for number in range(24)]
    async with (
        connected(broker, "agent", ["edgevoice/v1/+/request/#"]) as (_, heard),
        connected(broker, "demo") as (demo, _),
    ):
        deliveries = [demo.publish(Publication(REQUESTS, payload)) for payload in payloads]
        assert [(await get(heard)).payload for _ in payloads] == payloads
        assert await asyncio.gather(*deliveries) == [Delivery.DONE] * len(payloads)


async def test_an_error_in_the_owners_callback_ends_nothing(broker, caplog):
    heard: asyncio.Queue[Message] = asyncio.Queue()

    def on_message(message):
        if message.payload == b"bad":
            raise RuntimeError("boom")
        heard.put_nowait(message)

    async with (
        connected(broker, "agent", ["edgevoice/v1/+/request/#"], on_message=on_message),
        connected(broker, "demo") as (demo, _),
    ):
        for payload in (b"bad", b"good"):
            await demo.publish(Publication(REQUESTS, payload))
        assert (await get(heard)).payload == b"good"
    assert "was not handled" in caplog.text


async def test_the_brokers_answer_to_a_publication_is_told(broker):
    async with connected(broker, "demo") as (demo, _):
        assert await demo.publish(Publication(REQUESTS, b"nobody hears")) is Delivery.NO_SUBSCRIBERS
        assert await demo.publish(Publication("home/lock/set", b"open")) is Delivery.REFUSED


async def test_a_packet_the_broker_would_not_take_is_not_sent(broker):
    async with connected(broker, "demo") as (demo, _):
        with pytest.raises(PacketTooLarge):
            demo.publish(Publication(REQUESTS, bytes(8_000_000)))
        assert demo.connected


async def trouble(client):
    """Why there is no connection, once that is known."""
    while True:
        with pytest.raises(BrokerUnavailable) as refused:
            await client.wait_connected(0.01)
        if not str(refused.value).endswith("no answer"):
            return str(refused.value)


async def test_why_there_is_no_connection_is_said(broker, tmp_path):
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    client = MqttClient(settings(broker, "demo", password_file=wrong), client_id="x", on_message=print)
    async with client:
        assert "Not authorized" in await trouble(client)


async def test_a_stranger_cannot_be_reached():
    nowhere = MqttSettings(port=1)
    async with MqttClient(nowhere, client_id="x", on_message=print) as client:
        assert "cannot be reached" in await trouble(client)


async def test_a_stalled_connection_is_given_up_for_another_and_the_last_will_speaks_for_it(broker):
    will = Publication("edgevoice/v1/orin/status", b"offline", retain=True)
    ready: asyncio.Queue[int] = asyncio.Queue()
    async with (
        connected(broker, "demo", ["edgevoice/v1/+/status"]) as (_, heard),
        connected(broker, "agent", will=will, on_ready=lambda: ready.put_nowait(1)) as (agent, _),
    ):
        await get(ready)
        assert agent.connection == 1
        agent.reconnect()
        await get(ready)
        assert agent.connection == 2
        assert (await get(heard)).payload == b"offline"


async def test_the_last_will_speaks_for_who_fails_and_not_for_who_closes(broker):
    will = Publication("edgevoice/v1/orin/status", b"offline", retain=True)
    async with connected(broker, "demo", ["edgevoice/v1/+/status"]) as (_, heard):
        async with connected(broker, "agent", will=will) as (agent, _):
            await agent.publish(Publication("edgevoice/v1/orin/status", b"closed in order"))
        with pytest.raises(LookupError):
            async with connected(broker, "agent", will=will):
                raise LookupError("a bug")
        assert [(await get(heard)).payload for _ in range(2)] == [b"closed in order", b"offline"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_is_subscribed_later_is_heard_on_later_connections_too_until_it_is_dropped(broker, protocol):
    later = Subscription("edgevoice/v1/+/request/#")
    ready: asyncio.Queue[int] = asyncio.Queue()
    async with (
        connected(broker, "agent", protocol=protocol, on_ready=lambda: ready.put_nowait(1)) as (agent, heard),
        connected(broker, "demo") as (demo, _),
    ):
        await get(ready)
        await agent.subscribe(later)
        assert await demo.publish(Publication(REQUESTS, b"now")) is Delivery.DONE
        agent.reconnect()
        await get(ready)
        assert await demo.publish(Publication(REQUESTS, b"then")) is Delivery.DONE
        assert [(await get(heard)).payload for _ in range(2)] == [b"now", b"then"]
        agent.unsubscribe(later.topic_filter)
        await agent.subscribe(Subscription("edgevoice/v1/+/admin/#"))  # answered after it
        assert await demo.publish(Publication(REQUESTS, b"late")) is Delivery.NO_SUBSCRIBERS


async def test_who_subscribes_while_the_broker_is_away_hears_once_it_is_back(broker):
    async with connected(broker, "agent") as (agent, heard), connected(broker, "demo") as (demo, _):
        await broker.stop()
        granted = agent.subscribe(Subscription("edgevoice/v1/+/request/#"))
        await broker.start()
        await asyncio.wait_for(granted, 10)
        await demo.publish(Publication(REQUESTS, b"x"))
        assert (await get(heard)).payload == b"x"


@pytest.mark.parametrize(("as_published", "flag"), [(True, True), (False, False)])
async def test_a_retained_message_sent_just_now_keeps_its_flag_if_that_is_wanted(broker, as_published, flag):
    status = "edgevoice/v1/orin/status"
    async with connected(broker, "demo") as (demo, heard), connected(broker, "agent") as (agent, _):
        await demo.subscribe(Subscription(status, retain_as_published=as_published))
        await agent.publish(Publication(status, b"online", retain=True))
        assert (await get(heard)).retain is flag


async def test_the_outbox_is_as_large_as_what_was_not_confirmed(broker):
    async with connected(broker, "demo") as (demo, _):
        await broker.stop()
        publication = Publication(REQUESTS, bytes(1_000))
        delivered = [demo.publish(publication) for _ in range(3)]
        assert demo.outbox_bytes == 3 * publication.packet_bytes
        await broker.start()
        await asyncio.gather(*delivered)
        assert demo.outbox_bytes == 0


async def test_a_topic_that_is_none_holds_nothing_up(broker):
    async with connected(broker, "demo") as (demo, _):
        bad, good = (demo.publish(Publication(topic, b"")) for topic in ("edgevoice/#", REQUESTS))
        assert await bad is Delivery.REFUSED
        assert await good is Delivery.NO_SUBSCRIBERS


async def test_no_acknowledgement_reaches_a_broker_that_lost_its_memory(broker, broker_folder):
    durable = {"filters": ["edgevoice/v1/+/request/#"], "session_expiry_s": 60}
    async with connected(broker, "demo") as (demo, _), connected(broker, **durable) as (agent, heard):
        await demo.publish(Publication(REQUESTS, b"old"))
        old = await get(heard)
        await broker.kill()
        (broker_folder / "broker" / "data" / "mosquitto.db").unlink(missing_ok=True)
        await broker.start()
        await agent.wait_connected(10)
        await demo.wait_connected(10)
        await demo.publish(Publication(REQUESTS, b"new"))
        new = await get(heard)
        assert (new.payload, new.mid) == (b"new", old.mid)
        agent.ack(old)
        agent.reconnect()
        assert (await get(heard)).payload == b"new"  # had it been acknowledged, it would not come again


async def test_two_clients_of_one_id_are_told_and_stop_throwing_each_other_out(broker, caplog):
    async with (
        connected(broker, "demo", client_id="same") as (one, _),
        connected(broker, "demo", client_id="same") as (other, _),
    ):
        while "most likely another client uses the client id 'same'" not in caplog.text:
            await asyncio.sleep(0.01)
        waiting = {asyncio.create_task(client.wait_connected(20)) for client in (one, other)}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
