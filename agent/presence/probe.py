"""The agent's round trip to itself: proof that network thread, broker and ACL work, in both directions."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from agent.contract.topics import Topics
from agent.errors import UserError
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Message, Publication

logger = logging.getLogger(__name__)

_MISSED_TO_RECONNECT = 2
_MISSED_TO_END = 4
_STUCK_INTERVALS = 3


class Word(Enum):
    """What is said on the probe's topic, before a number made up for it."""

    PROBE = "probe"
    """By the agent to itself."""
    WHO = "who"
    """By who is about to start another agent of the name."""
    HERE = "here"
    """The answer of an agent that lives."""

    def with_number(self, number: str) -> bytes:
        """The payload."""
        return f"{self.value} {number}".encode()


class LinkStuck(UserError):
    """No connection works any more, though the broker is there; only another process can make one."""


class Probe:
    """Sends itself a message every so often; a connection that does not give it back is given up."""

    def __init__(self, topics: Topics, mqtt: MqttClient, *, interval_s: float, on_change: Callable[[], None]) -> None:
        """`on_change` is told when there is news for the state."""
        self._topic = topics.probe
        self._mqtt = mqtt
        self._interval_s = interval_s
        self._on_change = on_change
        self._waiting: tuple[bytes, asyncio.Future[float]] | None = None
        self._missed = 0
        self._ever_heard = False
        self._resting = False
        self._last_sign = 0.0
        self.deaf = False
        """Whether none ever came back since the start."""
        self.round_trip_ms: float | None = None
        """How long the last one took."""

    @property
    def gets_on(self) -> bool:
        """Whether the round trip works, or cannot because the broker is away; and where it never did: always."""
        if self._resting or self.deaf or not self._mqtt.connected:
            return True
        return _now() - self._last_sign < _STUCK_INTERVALS * self._interval_s

    def connected(self) -> None:
        """The connection is a new one."""
        self._last_sign = _now()

    def rest(self) -> None:
        """No more probes: messages are left with the broker from now on."""
        self._resting = True

    def heard(self, message: Message) -> None:
        """Takes what arrived on the probe's topic."""
        self._mqtt.ack(message)
        word, _, number = message.payload.decode(errors="replace").partition(" ")
        if message.retain:
            return
        if word == Word.WHO.value:
            self._mqtt.publish(Publication(self._topic, Word.HERE.with_number(number)))
        elif self._waiting and message.payload == self._waiting[0] and not self._waiting[1].done():
            self._waiting[1].set_result(_now())

    async def run(self) -> None:
        """Does not return; LinkStuck where a new connection gives nothing back either."""
        while not self._resting:
            await self._connection()
            connection, begun = self._mqtt.connection, _now()
            came_back = await self._round_trip()
            if came_back is not None:
                self._came_back(round_trip_s=came_back - begun)
                await asyncio.sleep(max(0.0, begun + self._interval_s - _now()))
            elif connection == self._mqtt.connection and not self._resting:
                self._miss()

    async def _connection(self) -> None:
        """Returns once there is one; LinkStuck where nobody works at it."""
        while True:
            if not self._mqtt.alive:
                raise LinkStuck("the thread that keeps the connection to the broker died; ending, to begin anew")
            with suppress(BrokerUnavailable):
                await self._mqtt.wait_connected(self._interval_s)
                return

    async def _round_trip(self) -> float | None:
        """When the probe was back; None where it was not within the interval, and should have been."""
        publication = Publication(self._topic, Word.PROBE.with_number(uuid.uuid4().hex))
        back: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting = publication.payload, back
        taken = self._mqtt.publish(publication)
        while True:
            await asyncio.wait({back}, timeout=self._interval_s)
            if back.done():
                return back.result()
            # Behind a large reply, on a slow link, it is not stuck; keepalive tells of a link that is.
            only_probes = self._mqtt.outbox_bytes <= (self._missed + 1) * publication.packet_bytes
            if taken.done() or only_probes or not self._mqtt.connected or not self._mqtt.alive or self._resting:
                return None

    def _came_back(self, *, round_trip_s: float) -> None:
        if self.deaf:
            logger.info("the probe comes back")
        self._missed, self._ever_heard, self.deaf = 0, True, False
        self._last_sign = _now()
        self.round_trip_ms = round(round_trip_s * 1_000, 1)
        self._on_change()

    def _miss(self) -> None:
        self._missed += 1
        if not self._ever_heard:
            if self._missed == _MISSED_TO_RECONNECT:
                self.deaf = True
                logger.error("no probe ever came back: does the broker's ACL let us read and write %s?", self._topic)
                self._on_change()
        elif self._missed >= _MISSED_TO_END:
            raise LinkStuck(f"the broker gave back none of the last {self._missed} probes; ending, to begin anew")
        elif self._missed == _MISSED_TO_RECONNECT:
            logger.error("the broker gave back none of the last %d probes: connecting anew", self._missed)
            self._mqtt.reconnect()


def _now() -> float:
    return asyncio.get_running_loop().time()
