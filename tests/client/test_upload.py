"""A clip that is sent while it is being recorded has its reply, whatever is killed meanwhile."""

import asyncio
from typing import Any

import pytest

from agent.client import AgentClient, Upload
from agent.client.exchange import Exchange
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.lookup import Found
from agent.contract.messages import StreamOptions, UploadStart
from agent.contract.reply import Reply
from agent.contract.terms import AudioFormat, Operation, RunState, Status
from agent.contract.topics import Topics
from agent.engines.settings import EngineSettings
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message
from agent.stack import Part, Stack, StackSettings
from tests.wav_files import sine, wav

pytestmark = pytest.mark.anyio

HEARD = "turn on the kitchen lights"
CLIP = wav(sine(seconds=10.0, rate=16_000), rate=16_000)
START = UploadStart(operation=Operation.TRANSCRIBE, end_silence_ms=0)


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    settings = StackSettings.scripted(
        stt=EngineSettings(name="scripted", options={"text": HEARD}), parts=(Part.BROKER, Part.AGENT)
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture
async def client(stack):
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="demo") as opened:
        await opened.online(10)
        yield opened


async def arrives(client, upload):
    """Returns once the agent has begun with it."""
    while await client.lookup(upload.key[1]) is None:
        await asyncio.sleep(0.01)


async def test_it_is_sent_in_pieces_and_answered(client):
    async with client.upload(START) as upload:
        await upload.send(CLIP[:3])
        await upload.send(CLIP[3:])
        assert not upload.answered
        reply = await upload.end()
        assert (reply.status, reply.transcript and reply.transcript.text) == (Status.OK, HEARD)
        assert upload.answered
        assert await upload.end() is reply


async def test_what_the_agent_missed_is_sent_again(client, monkeypatch):
    publish, lost = MqttClient.publish, [".../0", ".../2"]

    def lossy(self, publication):
        if lost and publication.topic.endswith(lost[0][-2:]):
            lost.pop(0)
            return asyncio.get_running_loop().create_future()
        return publish(self, publication)

    monkeypatch.setattr(MqttClient, "publish", lossy)
    async with client.upload(START) as upload:
        await upload.send(CLIP)
        assert (await upload.end()).status is Status.OK
    assert not lost


async def test_a_fault_is_known_before_the_end(client):
    start = START.model_copy(update={"format": AudioFormat.WAV})
    async with client.upload(start) as upload:
        await upload.send(b"no WAV file, that much is certain by now")
        while not upload.answered:
            await asyncio.sleep(0.01)
        await upload.send(b"more of it")
        reply = await upload.end()
    assert (reply.error and reply.error.code) is ErrorCode.UNSUPPORTED_MEDIA


async def test_who_does_not_wait_for_the_reply_has_it_cancelled(client):
    async with client.upload(START) as upload:
        await upload.send(CLIP)
        await arrives(client, upload)
    while await client.lookup(upload.key[1]):
        await asyncio.sleep(0.01)


async def test_its_run_is_heard_of(client):
    told = []

    class Told:
        def hear(self, event):
            told.append(event.type.value)

        def play(self, chunk):
            """Nobody speaks."""

    start = START.model_copy(update={"stream": StreamOptions()})
    async with client.upload(start, listener=Told()) as upload:
        await upload.send(CLIP)
        await upload.end()
    assert told == ["accepted", "stt_start", "stt_end"]


@pytest.mark.once
async def test_an_agent_that_is_killed_gets_it_again(stack, client):
    async with client.upload(START) as upload:
        await upload.send(CLIP[:100_000])
        await arrives(client, upload)
        await stack.kill(Part.AGENT)
        await upload.send(CLIP[100_000:])
        await stack.start(Part.AGENT)
        assert (await upload.end()).status is Status.OK


@pytest.mark.once
async def test_a_broker_that_lost_its_memory_loses_no_clip(stack, client, monkeypatch):
    monkeypatch.setattr("agent.client.upload.FIRST_PAUSE_S", 0.5)
    async with client.upload(START) as upload:
        await upload.send(CLIP)
        await arrives(client, upload)
        await stack.kill(Part.AGENT)
        replying = asyncio.create_task(upload.end())
        await asyncio.sleep(0.1)
        await stack.kill(Part.BROKER)
        await stack.start(Part.BROKER)
        await stack.start(Part.AGENT)
        assert (await replying).status is Status.OK


async def test_where_it_goes_is_the_clients_to_choose(client):
    start = START.model_copy(update={"reply_to": "edgevoice/v1/orin/reply/demo/7"})
    with pytest.raises(ContractError) as caught:
        async with client.upload(start):
            pass
    assert caught.value.field == "reply_to"


class Alone:
    """The sender of a clip, with a broker that takes everything, and an agent that says what it is told to."""

    def __init__(self):
        self.sent = []
        self.exchange = Exchange(self.publish, judge=lambda *_: None)
        self.found = None

    def publish(self, publication):
        self.sent.append(publication.topic.rpartition("/")[2])
        delivery = asyncio.get_running_loop().create_future()
        delivery.set_result(Delivery.DONE)
        return delivery

    async def lookup(self):
        return self.found

    def upload(self, **options):
        """A clip, always the same."""
        key = ("demo", "r1")
        ways: dict[str, Any] = {
            "publish": self.publish,
            "exchange": self.exchange,
            "lookup": self.lookup,
            "cancel": lambda: self.exchange.give_up(key),
        }
        return Upload(START, key, topics=Topics(), **{**ways, **options})

    def hear(self, status):
        self.exchange.hear(("demo", "r1"), Message("reply", Reply(id="r1", status=status, agent="orin").encode()))


async def test_who_sends_it_again_does_not_hear_that_it_was_cancelled_before():
    alone = Alone()
    async with alone.upload():
        pass
    async with alone.upload() as again:
        alone.hear(Status.CANCELLED)
        alone.hear(Status.OK)
        assert (await again.end()).status is Status.OK


async def test_a_clip_that_ended_while_its_sender_was_away_has_the_reply_it_had(monkeypatch):
    monkeypatch.setattr("agent.client.upload.FIRST_PAUSE_S", 0.01)
    alone, cancelled = Alone(), []
    reply = Reply(id="r1", status=Status.OK, text="so far", agent="orin")
    alone.found = Found(state=RunState.DONE, reply=reply)
    async with alone.upload(cancel=lambda: cancelled.append("r1")) as upload:
        await upload.send(b"sound")
        assert await upload.end() == reply.model_copy(update={"replayed": True})
        assert upload.answered
    assert (alone.sent, cancelled) == (["start", "0", "end"], [])


async def test_a_clip_whose_reply_is_too_large_to_be_looked_up_is_sent_again(monkeypatch):
    monkeypatch.setattr("agent.client.upload.FIRST_PAUSE_S", 0.01)
    alone = Alone()
    alone.found = Found(state=RunState.DONE)
    async with alone.upload() as upload:
        await upload.send(b"sound")
        ending = asyncio.create_task(upload.end())
        while len(alone.sent) < 6:
            await asyncio.sleep(0)
        alone.hear(Status.OK)
        assert (await ending).status is Status.OK
    assert alone.sent[:6] == ["start", "0", "end"] * 2
