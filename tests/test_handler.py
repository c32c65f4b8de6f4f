"""What a message sets off where no broker can be made to send it: retained presence, requests that are late."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.contract.limits import Limits
from agent.contract.messages import Request
from agent.contract.reply import Reply
from agent.contract.terms import Operation, Stage, Status
from agent.contract.topics import Topics
from agent.errors import Cancelled
from agent.handler import Handler
from agent.intake import Intake
from agent.journal.entries import Admitted, Answered, ReplyTo, RunKey
from agent.mqtt.message import Message
from agent.pipeline.admission import Admission
from agent.pipeline.run import Run
from agent.pipeline.telling import Teller
from agent.replies.replies import Replies
from agent.runs.reception import Reception
from agent.uploads.uploads import Uploads
from tests.fakes import FakeMqtt

pytestmark = pytest.mark.anyio

TOPICS = Topics()


class FakeJournal:
    """Remembers one answer, or none."""

    remembered: Answered | None = None

    def answered(self, key):
        return self.remembered


class Agent:
    """A handler, and what it has to do with."""

    def __init__(self):
        self.mqtt, self.journal, self.admission = FakeMqtt(), FakeJournal(), Admission(Limits(), max_concurrent=1)
        nobody, journal = cast("Any", None), cast("Any", self.journal)
        intake, replies = Intake(TOPICS, Limits(), ()), Replies(TOPICS, cast("Any", self.mqtt))
        reception = Reception(
            journal=journal, admission=self.admission, runs=nobody, replies=replies, ack=self.mqtt.ack
        )
        self.handler = Handler(
            TOPICS,
            cast("Any", self.mqtt),
            intake=intake,
            journal=journal,
            admission=self.admission,
            reception=reception,
            uploads=Uploads(
                Limits(), intake=intake, reception=reception, replies=replies, listen=nobody, ack=self.mqtt.ack
            ),
            sessions=cast("Any", SimpleNamespace(handle=None)),
            replies=replies,
            operators=nobody,
        )

    def hears(self, topic, payload, **properties):
        message = Message(topic, payload, **properties)
        self.handler.handle(message)
        assert self.mqtt.acked == [message]


def run_of(client):
    admitted = Admitted(RunKey(client, "7"), Operation.CHAT, Request(text="Hi"), None, ReplyTo("reply"), 0.0)
    return Run(admitted, frozenset({Stage.LLM}), Teller("7", None))


async def outcome(waiting):
    """Why a run that waits for its turn is cancelled; None where it goes on waiting."""
    done, _ = await asyncio.wait({waiting}, timeout=0)
    if done:
        with pytest.raises(Cancelled) as caught:
            await waiting
        return caught.value.reason
    waiting.cancel()
    await asyncio.wait({waiting})
    return None


@pytest.mark.parametrize(
    ("payload", "retain", "reason"),
    [(b"offline", False, "client_offline"), (b"offline", True, None), (b"online", False, None), (b"", False, None)],
)
async def test_only_a_device_that_goes_offline_now_has_its_runs_cancelled(payload, retain, reason):
    agent = Agent()
    runs = [run_of("kitchen"), run_of("hall")]
    for run in runs:
        agent.admission.admit(run)
    waiting = [asyncio.create_task(run.perform(cast("Any", None), agent.admission.turn(run))) for run in runs]
    for _ in range(5):
        await asyncio.sleep(0)
    agent.hears(TOPICS.client_status("kitchen"), payload, retain=retain)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [await outcome(each) for each in waiting] == [reason, None]


async def test_a_request_that_arrives_too_late_is_expired_and_not_begun():
    agent = Agent()
    payload = json.dumps({"id": "7", "text": "Hi"}).encode()
    agent.hears(TOPICS.request("demo", Operation.CHAT), payload, expiry_s=0)
    [reply] = agent.mqtt.published
    assert Reply.decode(reply.payload).status is Status.EXPIRED


async def test_a_late_copy_of_an_answered_request_has_that_answer():
    agent = Agent()
    request = Intake(TOPICS, Limits(), ()).read(
        message := Message(TOPICS.request("demo", Operation.CHAT), b'{"id": "7", "text": "Hi"}', expiry_s=0),
        TOPICS.parse_request(message.topic),
    )
    admitted = Admitted(RunKey("demo", "7"), Operation.CHAT, request.request, None, ReplyTo("reply"), 0.0)
    answer = Reply(id="7", status=Status.OK, text="noon", agent="orin")
    agent.journal.remembered = Answered(admitted.digest, answer.encode())
    agent.hears(message.topic, message.payload, expiry_s=0)
    assert Reply.decode(agent.mqtt.published[0].payload) == answer.model_copy(update={"replayed": True})


async def test_a_broker_that_delivers_again_does_not_revive_what_was_cancelled():
    agent = Agent()
    message = Message(TOPICS.request("demo", Operation.CHAT), b'{"id": "7", "text": "Hi"}')
    request = Intake(TOPICS, Limits(), ()).read(message, TOPICS.parse_request(message.topic))
    admitted = Admitted(RunKey("demo", "7"), Operation.CHAT, request.request, None, ReplyTo("reply"), 0.0)
    answer = Reply(id="7", status=Status.CANCELLED, agent="orin")
    agent.journal.remembered = Answered(admitted.digest, answer.encode())
    agent.hears(message.topic, message.payload, redelivered=True)
    assert Reply.decode(agent.mqtt.published[0].payload) == answer.model_copy(update={"replayed": True})
