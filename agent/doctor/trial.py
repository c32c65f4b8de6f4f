"""What the broker's rules are tried out with: topics that concern nobody, and connections that write and listen."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Delivery, Publication, Subscription
from agent.mqtt.settings import MqttSettings

_CONNECT_S = 2.0
_ANSWER_S = 2.0
_HEARD_S = 1.0


@dataclass(frozen=True)
class TrialTopics:
    """Topics to try things out on."""

    real: Topics
    """The agent's own; a live one listens there."""
    made_up: Topics
    """Those of an agent that does not exist."""
    stranger: str
    """A caller that does not exist."""

    @classmethod
    def beside(cls, topics: Topics) -> TrialTopics:
        """New ones, in the same base."""
        name = f"doctor-{uuid.uuid4().hex[:8]}"
        return cls(topics, Topics(base=topics.base, agent=name), name)


@dataclass(frozen=True)
class Tried:
    """One thing that a user may or may not do."""

    what: str
    wanted: bool
    """Whether it is to be allowed."""
    allowed: bool
    topic: str

    @property
    def fault(self) -> str | None:
        """What is wrong with it."""
        if self.wanted == self.allowed:
            return None
        return f"it may {'' if self.allowed else 'not '}{self.what}: {self.topic}"


def as_it_should_be(tried: Iterable[Tried]) -> str:
    """What was tried, in words, where nothing is wrong with it."""
    tried = tuple(tried)
    may, may_not = (", ".join(one.what for one in tried if one.wanted is wanted) for wanted in (True, False))
    return f"{len(tried)} rules hold: it may {may}; it may not {may_not}"


class User:
    """A connection of one broker user, which may listen on filters."""

    def __init__(self, mqtt: MqttSettings, filters: Iterable[str], client_id: str) -> None:
        self.client = MqttClient(
            mqtt.model_copy(update={"protocol": "5"}),
            client_id=client_id,
            on_message=lambda message: self._event(message.topic).set(),
            # The broker's own figures are retained.
            subscriptions=[Subscription(one, retained=one.startswith("$SYS")) for one in filters],
        )
        self._heard: dict[str, asyncio.Event] = {}

    async def may_write(self, topic: str, payload: bytes = b"edgevoice doctor") -> bool:
        """Whether the broker takes a message for `topic`."""
        publishing = self.client.publish(Publication(topic, payload))
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            return await asyncio.wait_for(publishing, _ANSWER_S) is not Delivery.REFUSED
        except asyncio.TimeoutError:  # some brokers hang up instead of saying no
            return False

    async def hears(self, topic: str) -> bool:
        """Whether what was written to `topic` arrives."""
        try:
            return await asyncio.wait_for(self._event(topic).wait(), _HEARD_S)
        except asyncio.TimeoutError:
            return False

    def heard(self, topic: str) -> bool:
        """Whether anything has arrived from `topic` by now."""
        return self._event(topic).is_set()

    def _event(self, topic: str) -> asyncio.Event:
        return self._heard.setdefault(topic, asyncio.Event())


@asynccontextmanager
async def connected(mqtt: MqttSettings, *filters: str) -> AsyncIterator[User | None]:
    """A user that listens on `filters`; None where the broker does not let it."""
    user = User(mqtt, filters, f"edgevoice-doctor-{uuid.uuid4().hex[:8]}")
    async with user.client:
        try:
            await user.client.wait_connected(_CONNECT_S)
        except BrokerUnavailable:
            yield None
        else:
            yield user
