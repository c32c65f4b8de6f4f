"""Clips in pieces without a broker and without engines: who takes them on is a list."""

import asyncio
import json
from typing import Any, cast

from agent.contract.limits import Limits
from agent.contract.topics import Topics
from agent.intake import Intake
from agent.journal.entries import Admitted, RunKey
from agent.mqtt.message import Message
from agent.replies.replies import Replies
from agent.uploads.uploads import Uploads
from tests.fakes import FakeMqtt

TOPICS = Topics()
SAMPLES = {"format": "pcm_s16le", "sample_rate": 8_000, "end_silence_ms": 0}
"""How the clips here are written, unless told otherwise."""


class FakeHearing:
    """Counts what it is given, and how often it is closed."""

    def __init__(self):
        self.samples = 0
        self.closed = 0

    def feed(self, audio):
        assert not self.closed
        self.samples += len(audio.samples)

    def close(self):
        self.closed += 1


class FakeReception:
    """Takes everything on, or says why not."""

    def __init__(self, ack):
        self.taken: list[Admitted] = []
        self.lives: list[Any] = []
        self.known: set[RunKey] = set()
        self.barged: list[RunKey] = []
        self.refusal = None
        self.replays = False
        """Whether all was asked before."""
        self._ack = ack

    def check(self):
        """Never anything."""

    def barge_in(self, key, request):
        if request.barge_in:
            self.barged.append(key)

    def knows(self, key):
        return key in self.known

    def take_on(self, admitted, message, *, again, live):
        if self.refusal:
            raise self.refusal
        if message:
            self._ack(message)
        self.taken.append(admitted)
        if self.replays:
            return False
        self.lives.append(live)
        return True


class Parts:
    """The clips of an agent, and what comes of them."""

    def __init__(self, *, trusted=(), **limits):
        self.mqtt = FakeMqtt()
        self.reception = FakeReception(self.mqtt.ack)
        self.hearings: list[FakeHearing] = []
        self.sent: list[Message] = []
        bounds, mqtt = Limits(**limits), cast("Any", self.mqtt)
        self.uploads = Uploads(
            bounds,
            trusted=trusted,
            intake=Intake(TOPICS, bounds, ()),
            reception=cast("Any", self.reception),
            replies=Replies(TOPICS, mqtt),
            listen=cast("Any", self._listen),
            ack=self.mqtt.ack,
        )

    async def _listen(self, request):
        self.hearings.append(FakeHearing())
        return self.hearings[-1]

    def send(self, level, payload=b"", *, of="7", client="demo", **properties):
        """One message of a clip."""
        topic = f"edgevoice/v1/orin/request/{client}/stream/{of}/{level}"
        payload = json.dumps(payload).encode() if isinstance(payload, dict) else payload
        message = Message(topic, payload, qos=1, mid=len(self.sent) + 1, **properties)
        self.sent.append(message)
        address = TOPICS.parse_request(topic)
        assert address.upload
        self.uploads.handle(message, address, address.upload)

    def start(self, *, of="7", client="demo", **fields):
        self.send("start", {**SAMPLES, **fields}, of=of, client=client)

    def replies(self, of=None):
        """The terminal replies, those to one request where it is named."""
        found = [json.loads(each.payload) for each in self.mqtt.published if not each.topic.endswith("/event")]
        return [reply for reply in found if of in (None, reply["id"])]

    def errors(self, of=None):
        """What they say: code and reason."""
        return [(reply["error"]["code"], reply["error"].get("reason")) for reply in self.replies(of)]

    def nacks(self):
        """What was said to be missing."""
        events = [json.loads(each.payload) for each in self.mqtt.published if each.topic.endswith("/event")]
        return [event["missing"] for event in events]

    def clips(self):
        """The samples of all clips that were taken on."""
        return [(each.clip or b"")[44:] for each in self.reception.taken]

    async def close(self):
        """Ends it as an agent does, and the runs that have begun."""
        for live in self.reception.lives:
            live.close()
        await self.uploads.close()


async def moment():
    """Returns once nothing is left to do at once."""
    for _ in range(10):
        await asyncio.sleep(0)


async def pause(seconds):
    """Returns then, and after what happens then."""
    await asyncio.sleep(seconds)
    await moment()
