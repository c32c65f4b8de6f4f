"""The way back: events end where nobody hears them, and give way to replies where the broker cannot take all."""

import asyncio
from typing import cast

import pytest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.lookup import Found
from agent.contract.messages import Request, StreamOptions
from agent.contract.reply import Reply
from agent.contract.terms import RunState, Status
from agent.contract.topics import Topics
from agent.errors import Busy, Expired
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery
from agent.replies.replays import Replays
from agent.replies.replies import Replies
from tests.fakes import FakeMqtt

pytestmark = pytest.mark.anyio

KEY = RunKey("demo", "7")
TO = ReplyTo("edgevoice/v1/orin/reply/demo/7")


def event(text="Hi"):
    return Event(type=EventType.TOKEN, id="7", seq=0, t_ms=1.0, delta=text)


def replies_over(mqtt):
    return Replies(Topics(), cast("MqttClient", mqtt))


def listener(mqtt, **wanted):
    return replies_over(mqtt).listener(Request(text="Hi", stream=StreamOptions(**wanted)), TO)


def error_in(publication):
    error = Reply.decode(publication.payload).error
    assert error
    return error


async def test_events_go_on_until_nobody_hears_them():
    mqtt = FakeMqtt()
    hear = listener(mqtt).hear
    hear(event())
    await asyncio.sleep(0)
    mqtt.says = Delivery.NO_SUBSCRIBERS
    hear(event())
    await asyncio.sleep(0)
    hear(event())
    assert [publication.topic for publication in mqtt.published] == [f"{TO.topic}/event"] * 2


async def test_events_give_way_where_the_broker_does_not_take_what_there_is():
    mqtt = FakeMqtt()
    hear = listener(mqtt).hear
    mqtt.outbox_bytes = 16_000_001
    hear(event())
    assert mqtt.published == []
    mqtt.outbox_bytes = 0
    hear(event())
    assert len(mqtt.published) == 1


async def test_an_event_that_the_broker_would_not_take_costs_the_run_nothing():
    mqtt = FakeMqtt(packet_limit=1_000)
    listener(mqtt).hear(event("x" * 2_000))
    assert mqtt.published == []


async def test_chunks_of_speech_go_below_the_reply_topic_as_they_are_whoever_hears_the_events():
    mqtt = FakeMqtt()
    mqtt.says = Delivery.NO_SUBSCRIBERS
    caller = listener(mqtt, audio=True)
    caller.hear(event())
    await asyncio.sleep(0)
    mqtt.outbox_bytes = 16_000_001
    caller.play(0, b"RIFF", "audio/wav")
    sent = mqtt.published[-1]
    assert (sent.topic, sent.payload, sent.content_type) == (f"{TO.topic}/audio/0", b"RIFF", "audio/wav")


async def test_what_is_missing_of_a_clip_is_told_also_after_nobody_heard_it():
    mqtt = FakeMqtt()
    mqtt.says = Delivery.NO_SUBSCRIBERS
    caller = listener(mqtt)
    nack = Event(type=EventType.NACK, id="7", seq=0, t_ms=1.0, missing=(3,))
    for told in (nack, event(), nack):
        caller.hear(told)
        await asyncio.sleep(0)
    assert [Event.decode(sent.payload).type for sent in mqtt.published] == [EventType.NACK, EventType.NACK]


async def test_speech_waits_while_the_broker_does_not_take_it():
    mqtt = FakeMqtt()
    mqtt.says = None
    mqtt.outbox_bytes = 9_000_000
    caller = listener(mqtt, audio=True)
    caller.play(0, b"RIFF", "audio/wav")
    waiting = asyncio.create_task(caller.room(1.0))
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    mqtt.deliveries[0].set_result(Delivery.DONE)
    await waiting


@pytest.mark.parametrize(("chunk_s", "pause_s"), [(0.064, 0.02), (0.01, 0.008)])
async def test_many_small_chunks_go_out_no_faster_than_a_slow_caller_reads(monkeypatch, chunk_s, pause_s):
    caller = listener(FakeMqtt(), audio=True)
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("agent.replies.listener.asyncio.sleep", sleep)
    for chunk in range(300):
        caller.play(chunk, b"RIFF", "audio/wav")
        await caller.room(chunk_s)
    assert len(pauses) == 100
    assert max(pauses) == pytest.approx(100 * pause_s, rel=0.2)


async def test_a_chunk_that_the_broker_would_not_take_is_said_to_be_too_large():
    caller = listener(FakeMqtt(packet_limit=1_000), audio=True)
    with pytest.raises(ContractError) as caught:
        caller.play(0, b"x" * 2_000, "audio/wav")
    assert caught.value.code is ErrorCode.REPLY_TOO_LARGE


async def test_where_replies_pile_up_nothing_more_is_promised():
    mqtt = FakeMqtt()
    replies = replies_over(mqtt)
    replies.check_clear()
    mqtt.outbox_bytes = 32_000_001
    with pytest.raises(Busy):
        replies.check_clear()
    replies.refuse(KEY, TO, Busy("enough", retry_after_ms=100, limit=1, queue_depth=7))
    [refused] = mqtt.published
    assert error_in(refused).queue_depth == 7


async def test_a_late_request_is_told_that_it_is():
    mqtt = FakeMqtt()
    replies_over(mqtt).refuse(KEY, TO, Expired(0))
    reply = Reply.decode(mqtt.published[0].payload)
    assert (reply.status, error_in(mqtt.published[0]).code) == (Status.EXPIRED, ErrorCode.EXPIRED)


async def test_a_call_is_answered_with_as_much_as_the_broker_takes():
    whole = Found(state=RunState.DONE, reply=Reply(id="6", status=Status.OK, text="x" * 2_000, agent="orin"))
    least = whole.model_copy(update={"reply": None})
    for packet_limit, answered in [(8_000_000, whole), (1_000, least)]:
        mqtt = FakeMqtt(packet_limit=packet_limit)
        replies_over(mqtt).answer(KEY, TO, whole, least)
        [answer] = mqtt.published
        assert Reply.decode(answer.payload).result == answered.model_dump(mode="json", exclude_none=True)


async def test_a_call_whose_answer_does_not_fit_says_so():
    mqtt = FakeMqtt(packet_limit=1_000)
    whole = Found(state=RunState.DONE, reply=Reply(id="6", status=Status.OK, text="x" * 2_000, agent="orin"))
    replies_over(mqtt).answer(KEY, TO, whole)
    assert error_in(mqtt.published[0]).code is ErrorCode.REPLY_TOO_LARGE


class TestReplays:
    REPLY = Reply(id="7", status=Status.OK, text="noon", agent="orin")

    async def test_while_one_is_on_its_way_others_wait_for_it_and_one_more_follows(self):
        mqtt = FakeMqtt()
        mqtt.says = None
        replays = Replays(replies_over(mqtt))
        for _ in range(50):
            replays.send(KEY, TO, self.REPLY)
        assert len(mqtt.published) == 1
        assert Reply.decode(mqtt.published[0].payload).replayed
        mqtt.deliveries[0].set_result(Delivery.DONE)
        await asyncio.sleep(0)
        assert len(mqtt.published) == 2, "who asked had the first one already, for all we know"
        mqtt.deliveries[1].set_result(Delivery.DONE)
        await asyncio.sleep(0)
        assert len(mqtt.published) == 2

    async def test_none_is_sent_after_the_end(self):
        mqtt = FakeMqtt()
        mqtt.says = None
        replays = Replays(replies_over(mqtt))
        for _ in range(2):
            replays.send(KEY, TO, self.REPLY)
        mqtt.deliveries[0].cancel()
        await asyncio.sleep(0)
        assert len(mqtt.published) == 1

    async def test_where_replies_pile_up_none_is_added(self):
        mqtt = FakeMqtt()
        mqtt.outbox_bytes = 32_000_001
        with pytest.raises(Busy):
            Replays(replies_over(mqtt)).send(KEY, TO, self.REPLY)
