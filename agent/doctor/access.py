"""The broker's rules, tried out: each of our users may do its work, and nothing else.

No live agent and no device hears of it: requests go to an agent, and replies to a caller, whose names are made up for
the occasion, and nothing is retained. All in MQTT 5, the only one in which a broker says that it refuses.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.contract.messages import Cancel
from agent.contract.terms import AdminOperation, Operation
from agent.contract.topics import Topics
from agent.doctor.finding import Finding, fail, ok, warn
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Delivery, Publication, Subscription
from agent.mqtt.settings import MqttSettings

_CONNECT_S = 2.0
_ANSWER_S = 2.0
_HEARD_S = 1.0
_ALL = "#"
_ANONYMOUS = "anonymous"
_NAME = "broker rules"
_RULES = "sudo install -m 640 -g mosquitto mosquitto/acl /etc/mosquitto/acl && sudo systemctl reload mosquitto"


@dataclass(frozen=True)
class Names:
    """Topics to try things out on."""

    real: Topics
    """The agent's own; a live one listens there."""
    made_up: Topics
    """Those of an agent that does not exist."""
    stranger: str
    """A caller that does not exist."""

    @classmethod
    def beside(cls, topics: Topics) -> Names:
        """New ones, in the same base."""
        name = f"doctor-{uuid.uuid4().hex[:8]}"
        return cls(topics, Topics(base=topics.base, agent=name), name)


class User:
    """A connection of one broker user, which may listen on one filter."""

    def __init__(self, mqtt: MqttSettings, topic_filter: str | None) -> None:
        self.client = MqttClient(
            mqtt.model_copy(update={"protocol": "5"}),
            client_id=f"edgevoice-doctor-{uuid.uuid4().hex[:8]}",
            on_message=lambda message: self._event(message.topic).set(),
            subscriptions=(Subscription(topic_filter),) if topic_filter else (),
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
async def connected(mqtt: MqttSettings, topic_filter: str | None = None) -> AsyncIterator[User | None]:
    """A user that listens on `topic_filter`; None where the broker does not let it."""
    user = User(mqtt, topic_filter)
    async with user.client:
        try:
            await user.client.wait_connected(_CONNECT_S)
        except BrokerUnavailable:
            yield None
        else:
            yield user


async def agent_rules(mqtt: MqttSettings, topics: Topics) -> Finding:
    """What the agent's user may do."""
    names, name = Names.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user:
        if user is None:
            return _untried(name)
        faults = [
            *await _agent_writes(user, names),
            *await _agent_hears(user, mqtt, name, names),
            *await _overhears(user, mqtt, names.real, others=names.stranger, own=name),
            *await _oversteps(user, _not_of_agent(names)),
        ]
    return _finding(name, faults, "reads requests, writes replies and its status, and nothing else that was tried")


async def caller_rules(mqtt: MqttSettings, client: str, topics: Topics, agent: MqttSettings) -> Finding:
    """What the user of the bridge may do, who asks as `client`; `agent` is the user who answers."""
    names, name = Names.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user, connected(agent) as answering:
        if user is None or answering is None:
            return _untried(name)
        faults = [
            *await _caller_writes(user, client, names),
            *await _caller_hears(answering, mqtt, client, names),
            *await _overhears(answering, mqtt, names.made_up, others=names.stranger, own=client),
            *await _oversteps(user, _not_of_caller(names)),
        ]
    return _finding(name, faults, "writes its own requests, reads its own replies, and nothing else that was tried")


async def _agent_writes(user: User, names: Names) -> list[str]:
    reply, status = names.real.reply(names.stranger, names.stranger), names.made_up.status
    faults = [] if await user.may_write(reply) else [f"it may not write replies: {reply}"]
    # Not on the agent's own status topic, where everybody would hear it. Where the rules name each agent, there is no
    # telling.
    if await user.may_write(names.made_up.reply(names.stranger, names.stranger)) and not await user.may_write(status):
        faults.append(f"it may not write an agent's status: {status}")
    return faults


async def _agent_hears(user: User, mqtt: MqttSettings, name: str, names: Names) -> list[str]:
    """The agent's user is a caller, too: it asks an agent that is not there."""
    asked = names.made_up.request(name, Operation.CHAT)
    async with connected(mqtt, names.made_up.all_requests) as ear:
        if not await user.may_write(asked) or (ear and await ear.hears(asked)):
            return []
    # Perhaps the rules name each agent. A live one answers the cancel of what was never asked, and that is all.
    asked = names.real.request(name, Operation.CANCEL)
    async with connected(mqtt, names.real.all_requests) as ear:
        if ear and await user.may_write(asked, Cancel(id=names.stranger).encode()) and await ear.hears(asked):
            return []
    return [f"it may not read requests: {asked}"]


async def _caller_writes(user: User, client: str, names: Names) -> list[str]:
    own = names.made_up.request(client, Operation.CHAT)
    return [] if await user.may_write(own) else [f"it may not ask: {own}"]


async def _caller_hears(answering: User, mqtt: MqttSettings, client: str, names: Names) -> list[str]:
    reply = names.made_up.reply(client, names.stranger)
    async with connected(mqtt, names.made_up.all_replies(client)) as ear:
        if not await answering.may_write(reply) or (ear and await ear.hears(reply)):
            return []
    return [f"it may not read its replies: {reply}"]


async def _overhears(speaking: User, mqtt: MqttSettings, topics: Topics, *, others: str, own: str) -> list[str]:
    """Whether `mqtt` hears a reply to `others`; one to its `own` name, sent later, tells when to stop waiting."""
    not_for_it, for_it = topics.reply(others, others), topics.reply(own, others)
    async with connected(mqtt, _ALL) as ear:
        if ear is None or not await speaking.may_write(not_for_it):
            return []
        await speaking.may_write(for_it)
        await ear.hears(for_it)
        return [f"it may read the replies to others: {not_for_it}"] if ear.heard(not_for_it) else []


def _not_of_agent(names: Names) -> dict[str, str]:
    return {
        "ask in another's name": names.made_up.request(names.stranger, Operation.CHAT),
        "write anywhere": f"{names.stranger}/anything",
    }


def _not_of_caller(names: Names) -> dict[str, str]:
    return {
        "ask in another's name": names.made_up.request(names.stranger, Operation.CHAT),
        "answer in an agent's place": names.made_up.reply(names.stranger, names.stranger),
        "write an agent's status": names.made_up.status,
        "administer in another's name": names.made_up.admin(names.stranger, AdminOperation.HEALTH),
        "write anywhere": f"{names.stranger}/anything",
    }


async def _oversteps(user: User, topics: dict[str, str]) -> list[str]:
    return [f"it may {what}: {topic}" for what, topic in topics.items() if await user.may_write(topic)]


def _untried(name: str) -> Finding:
    message = f"user {name}: what it may do was not tried, because the broker refused a connection in MQTT 5"
    return warn(_NAME, message, "mosquitto -h | head -1   # EdgeVoice needs 2.0 or later")


def _finding(name: str, faults: list[str], good: str) -> Finding:
    if faults:
        return fail(_NAME, f"user {name}: {'; '.join(faults)}", _RULES)
    return ok(_NAME, f"user {name} {good}")
