"""Runs and the journal: what is promised is kept, across the agent's end, and nothing is promised that cannot be."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from agent.contract.limits import Limits
from agent.contract.messages import Request, Sampling
from agent.contract.terms import Operation, Status
from agent.contract.topics import Topics
from agent.errors import StorageError
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.journal.journal import Journal
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message
from agent.pipeline.admission import Admission
from agent.pipeline.phrases import Phrases
from agent.pipeline.stages import Stages
from agent.replies.replies import Replies
from agent.runs.runs import Runs
from agent.sessions.conversations import Conversations
from tests.fakes import FakeEngines, FakeLanguageModel, FakeMqtt

pytestmark = pytest.mark.anyio

MESSAGE = Message("edgevoice/v1/orin/request/demo/chat", b"")


class Process:
    """What an agent's process has of it, without a broker and without engines that are processes."""

    def __init__(self, journal, *, llm=None):
        self.journal = journal
        self.llm = llm or FakeLanguageModel()
        self.mqtt = FakeMqtt()
        self.ended: list[tuple[RunKey, Status]] = []
        """What was told of outcomes."""
        self.acked = self.mqtt.acked
        self.admission = Admission(Limits(), max_concurrent=8)
        self.admission.open()
        self.runs = Runs(
            agent="orin",
            admission=self.admission,
            journal=journal,
            stages=Stages(
                FakeEngines(llm=self.llm),
                max_audio_s=5,
                system="",
                sampling=Sampling(),
                phrases=Phrases(0),
            ),
            conversations=Conversations(journal.sessions, unnamed_idle_s=0, stands_for_many=lambda _: False),
            replies=Replies(Topics(), cast("MqttClient", self.mqtt)),
            ack=self.mqtt.ack,
            on_change=lambda: None,
            on_end=lambda admitted, reply: self.ended.append((admitted.key, reply.status)),
        )

    async def calls(self, number):
        """Returns once the engine was asked so often."""
        while self.llm.calls < number:
            await asyncio.sleep(0)

    async def settled(self):
        """Returns once nothing is left to do at once, for anybody."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@asynccontextmanager
async def process(path, *, grace_s=0.0, **options):
    """A process that ends in order."""
    async with Journal(path, synchronous="NORMAL", mend_interval_s=0.01) as journal:
        running = Process(journal, **options)
        try:
            yield running
        finally:
            await running.runs.finish(grace_s)


def asked(request_id="r1", operation=Operation.CHAT, **fields):
    request = Request(id=request_id, **{"text": "Hi", **fields})
    to = ReplyTo(f"edgevoice/v1/orin/reply/demo/{request_id}")
    return Admitted(RunKey("demo", request_id), operation, request, None, to, 1e9)


def engine(held=False):
    llm = FakeLanguageModel()
    llm.hold = asyncio.Event()
    if not held:
        llm.hold.set()
    return llm


async def left_by_a_kill(path, *requests, attempts=0):
    """The journal of a process that was killed after it began `requests` so often."""
    async with Journal(path, synchronous="NORMAL") as journal:
        for request in requests:
            await journal.admit(request)
            for _ in range(attempts):
                await journal.begun(request.key)


async def test_a_run_begins_while_it_is_written_down_and_is_acknowledged_after(path, monkeypatch):
    async with process(path) as agent:
        written = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(agent.journal, "admit", lambda *_, **__: written)
        agent.runs.begin(asked(), MESSAGE)
        await agent.calls(1)
        await agent.settled()
        assert (agent.acked, agent.mqtt.published) == ([], [])
        written.set_result(None)
        assert (await agent.mqtt.reply())["status"] == "ok"
        assert agent.acked == [MESSAGE]


async def test_a_run_that_may_have_ended_the_agent_before_begins_when_that_is_counted(path, monkeypatch):
    async with process(path) as agent:
        admit, written = agent.journal.admit, asyncio.Event()

        async def admit_later(*args, **options):
            await written.wait()
            await admit(*args, **options)

        monkeypatch.setattr(agent.journal, "admit", admit_later)
        agent.llm.hold = asyncio.Event()
        agent.runs.begin(asked(), replace(MESSAGE, redelivered=True))
        await agent.settled()
        assert agent.llm.calls == 0
        written.set()
        await agent.calls(1)
        [entry] = agent.journal.unanswered()
        assert entry.attempts == 1
        agent.llm.hold.set()
        assert (await agent.mqtt.reply())["status"] == "ok"


async def test_a_run_that_cannot_be_written_down_is_stopped_and_refused(path, monkeypatch):
    async with process(path, llm=engine(held=True)) as agent:
        written = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(agent.journal, "admit", lambda *_, **__: written)
        agent.runs.begin(asked(), MESSAGE)
        await agent.calls(1)
        written.set_exception(StorageError("the disk is full"))
        error = (await agent.mqtt.reply())["error"]
        assert (error["code"], error["reason"], error["retriable"]) == ("internal", "storage_unavailable", True)
        assert (agent.acked, agent.llm.ended) == ([MESSAGE], 1)
        assert agent.journal.answered(asked().key) is None


async def test_what_the_agents_own_end_interrupts_was_not_begun(path):
    async with process(path, llm=engine(held=True)) as agent:
        agent.runs.begin(asked(), MESSAGE)
        await agent.calls(1)
        while not agent.acked:
            await asyncio.sleep(0)
        [entry] = agent.journal.unanswered()
        assert entry.attempts == 1
    async with process(path) as agent:
        [entry] = agent.journal.unanswered()
        assert entry.attempts == 0


async def test_what_had_begun_is_resumed_one_at_a_time_before_the_rest(path):
    await left_by_a_kill(path, asked("waiting"))
    await left_by_a_kill(path, asked("first"), asked("second"), attempts=1)
    llm = engine(held=True)
    async with process(path, llm=llm) as agent:
        agent.runs.resume()
        order = []
        for number in (1, 2, 3):
            await agent.calls(number)
            await agent.settled()
            assert llm.calls == number
            attempts = {entry.admitted.key.id: entry.attempts for entry in agent.journal.unanswered()}
            order.append(attempts)
            llm.hold.set()
            llm.hold = asyncio.Event()
            await agent.mqtt.replies(number)
        assert [reply["id"] for reply in await agent.mqtt.replies(3)] == ["first", "second", "waiting"]
        assert order == [
            {"waiting": 0, "first": 2, "second": 1},
            {"waiting": 0, "second": 2},
            {"waiting": 1},
        ]


async def test_what_was_begun_three_times_is_not_begun_again(path, caplog):
    await left_by_a_kill(path, asked("poison"), attempts=3)
    await left_by_a_kill(path, asked("fine"))
    async with process(path) as agent:
        agent.runs.resume()
        replies = {reply["id"]: reply for reply in await agent.mqtt.replies(2)}
        error = replies["poison"]["error"]
        assert (error["code"], error["reason"], error["retriable"]) == ("internal", "quarantined", False)
        assert replies["fine"]["status"] == "ok"
        assert agent.llm.calls == 1
        assert agent.journal.answered(asked("poison").key)
        assert "demo/poison was begun 3 times" in caplog.text


async def test_what_this_release_cannot_do_is_answered_and_stops_nothing(path):
    await left_by_a_kill(path, asked("odd", Operation.TRANSCRIBE), asked("fine"))
    async with process(path) as agent:
        agent.runs.resume()
        replies = {reply["id"]: reply for reply in await agent.mqtt.replies(2)}
        assert replies["odd"]["error"]["code"] == "bad_request"
        assert replies["fine"]["status"] == "ok"


async def test_a_deadline_passes_also_for_what_waits_behind_another(path):
    await left_by_a_kill(path, asked("first"), asked("second", deadline_ms=1), attempts=1)
    async with process(path, llm=engine(held=True)) as agent:
        agent.runs.resume()
        reply = await agent.mqtt.reply()
        assert (reply["id"], reply["status"], agent.llm.calls) == ("second", "expired", 1)


async def test_replies_that_never_arrived_are_sent_again_in_portions(path):
    async with Journal(path, synchronous="NORMAL") as journal:
        for number in range(20):
            await journal.admit(asked(str(number)))
            await journal.answer(asked(str(number)), b'{"number": %d}' % number)
    async with process(path) as agent:
        agent.mqtt.says = None
        agent.runs.resume()
        await agent.mqtt.replies(16)
        await agent.settled()
        assert len(agent.mqtt.published) == 16
        agent.mqtt.says = Delivery.DONE
        for delivery in agent.mqtt.deliveries:
            delivery.set_result(Delivery.DONE)
        assert [reply["number"] for reply in await agent.mqtt.replies(20)] == list(range(20))
        await agent.settled()
    async with process(path) as agent:
        assert agent.journal.undelivered() == []


async def test_a_reply_is_delivered_once_it_is_everywhere_it_is_wanted(path):
    async with process(path, llm=engine(held=True)) as agent:
        agent.mqtt.says = None
        agent.runs.begin(asked(), MESSAGE)
        agent.runs.join(agent.admission.find(asked().key), ReplyTo("elsewhere"), MESSAGE)
        agent.llm.hold.set()
        await agent.mqtt.replies(2)
        agent.mqtt.deliveries[0].set_result(Delivery.DONE)
        await agent.settled()
        assert agent.journal.undelivered() == [asked().key]
        agent.mqtt.deliveries[1].set_result(Delivery.NO_SUBSCRIBERS)
        while agent.journal.undelivered():
            await asyncio.sleep(0)


async def test_what_could_not_be_read_at_the_start_is_resumed_when_it_can_be(tmp_path):
    folder = tmp_path / "folder"
    await left_by_a_kill(folder / "journal.db", asked())
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("in its place")
    async with process(folder / "journal.db") as agent:
        agent.runs.resume()
        with pytest.raises(StorageError):
            agent.runs.begin(asked("other"), MESSAGE)
        mended = asyncio.Event()
        agent.journal.on_change = lambda: None if agent.journal.broken else mended.set()
        folder.unlink()
        (tmp_path / "elsewhere").rename(folder)
        await mended.wait()
        for _ in range(2):  # what is at hand is not resumed again
            agent.runs.resume()
        assert (await agent.mqtt.reply())["status"] == "ok"
        await agent.settled()
        assert len(agent.mqtt.published) == 1


async def test_each_outcome_is_told_once(path):
    async with process(path, llm=engine(held=True)) as agent:
        for request_id in ("r1", "r2"):
            agent.runs.begin(asked(request_id), MESSAGE)
        await agent.calls(2)
        agent.admission.find(RunKey("demo", "r2")).cancel()
        await agent.mqtt.reply()
        agent.llm.hold.set()
        await agent.mqtt.replies(2)
        await agent.settled()
        assert agent.ended == [(RunKey("demo", "r2"), Status.CANCELLED), (RunKey("demo", "r1"), Status.OK)]
