"""What arrives of one run, as its asker takes it."""

import asyncio

import pytest

from agent.client import AudioChunk, arrivals
from agent.client.arrivals import Arrivals
from agent.client.listeners import Listeners
from agent.contract.events import Event, EventType
from agent.contract.reply import AudioBody, Reply
from agent.contract.terms import Status
from agent.contract.topics import Topics
from agent.mqtt.message import Message

pytestmark = pytest.mark.anyio


def event(seq, kind=EventType.TOKEN, **fields):
    return Event(type=kind, id="r1", seq=seq, t_ms=fields.pop("t_ms", float(seq)), **fields)


def token(seq, delta="x"):
    return event(seq, delta=delta)


def chunk(number):
    return AudioChunk(number, b"%d" % number)


def reply(*, chunks=None, replayed=False):
    audio = AudioBody(sample_rate=8_000, duration_ms=1, chunks=chunks) if chunks else None
    return Reply(id="r1", status=Status.OK, agent="orin", audio=audio, replayed=replayed)


async def rest(arrived):
    """All that comes, as numbers: those of events, and in a list those of chunks."""
    taken = []
    while part := await arrived.next():
        taken.append([part.chunk] if isinstance(part, AudioChunk) else part.seq)
    return taken


async def test_in_the_order_of_arrival_and_nothing_twice():
    arrived = Arrivals()
    for part in (event(0, EventType.ACCEPTED), token(1), chunk(0), chunk(0), token(1), token(4), chunk(1), token(3)):
        arrived.play(part) if isinstance(part, AudioChunk) else arrived.hear(part)
    arrived.end(reply(chunks=2))
    assert await rest(arrived) == [0, 1, [0], 4, [1]]


async def test_chunks_follow_each_other():
    arrived = Arrivals()
    for number in (2, 0, 1):
        arrived.play(chunk(number))
    taking = asyncio.create_task(rest(arrived))
    arrived.end(reply(chunks=4))
    await asyncio.sleep(0)
    assert not taking.done()  # the reply overtook the last one
    arrived.play(chunk(3))
    assert await taking == [[0], [1], [2], [3]]


async def test_what_never_comes_is_passed_over(monkeypatch):
    monkeypatch.setattr(arrivals, "_PATIENCE_S", 0.01)
    arrived = Arrivals()
    for number in (0, 2, 3):
        arrived.play(chunk(number))
    assert [await arrived.next() for _ in range(3)] == [chunk(0), chunk(2), chunk(3)]
    arrived.play(chunk(1))
    arrived.end(reply(chunks=5))
    assert await rest(arrived) == []


async def test_a_stored_reply_is_all_there_is():
    arrived = Arrivals()
    arrived.end(reply(chunks=3, replayed=True))
    assert await arrived.next() is None


async def test_a_run_that_is_begun_anew():
    arrived = Arrivals()
    first, again = event(0, EventType.ACCEPTED, t_ms=0.1), event(0, EventType.ACCEPTED, t_ms=900.0)
    for part in (first, token(1), first, again, token(1), again, token(2)):
        arrived.hear(part)
    for number in (0, 1, 0, 1, 2):
        arrived.play(chunk(number))
    arrived.end(reply(chunks=3))
    assert await rest(arrived) == [0, 1, 0, 1, 2, [0], [1], [2]]


async def test_who_is_slow_gets_all_of_the_text_in_fewer_pieces():
    arrived = Arrivals()
    for seq in range(1_000):
        arrived.hear(token(seq, f"{seq} "))
    arrived.hear(event(1_000, EventType.LLM_END))
    arrived.end(reply())
    taken: list[Event] = []
    while isinstance(part := await arrived.next(), Event):
        taken.append(part)
    assert len(taken) < 100
    assert "".join(part.delta or "" for part in taken) == "".join(f"{seq} " for seq in range(1_000))
    assert taken[-1].type is EventType.LLM_END


async def test_only_who_listens_is_told():
    topics = Topics()
    listeners = Listeners(topics)
    mine, other = Arrivals(), Arrivals()
    with listeners.attend(("demo", "r1"), mine), listeners.attend(("demo", "r2"), other):
        for request_id in ("r1", "r3"):
            listeners.hear(Message(topics.event(topics.reply("demo", request_id)), token(0).encode()))
        for topic in ("audio/0", "audio/x", "nonsense"):
            listeners.hear(Message(f"{topics.reply('demo', 'r1')}/{topic}", b"0", content_type="audio/wav"))
        for payload in (b"{", token(1).encode().replace(b"token", b"news")):
            listeners.hear(Message(topics.event(topics.reply("demo", "r1")), payload))
    listeners.hear(Message(topics.event(topics.reply("demo", "r1")), b"{"))
    mine.end(reply(chunks=1))
    other.end(None)
    assert await mine.next() == token(0)
    assert await mine.next() == AudioChunk(0, b"0", "audio/wav")
    assert await mine.next() is await other.next() is None
