"""One agent a name: whether another one lives, found out before its session is taken from it."""

from __future__ import annotations

import asyncio
import uuid

from agent.contract.terms import Presence
from agent.contract.topics import Topics
from agent.errors import UserError
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Publication, Subscription
from agent.mqtt.settings import MqttSettings
from agent.presence.probe import Word

_PATIENCE_S = 1.5
_SESSION_S = 60
"""A broker that gives every connection its user's name as client id makes ours the other agent's. Its session, with the
requests in it, outlives ours by this."""


class NamesakeLives(UserError):
    """Another agent of this name answers."""

    def __init__(self, agent: str, mqtt: MqttSettings) -> None:
        super().__init__(
            f"an agent {agent!r} runs already at the broker {mqtt.host}:{mqtt.port}: stop it, or give this one another "
            "name by EDGEVOICE_AGENT; a service manager may try again, to take over from it"
        )


async def refuse_second(topics: Topics, mqtt: MqttSettings) -> None:
    """Returns as soon as no agent of the name can live; NamesakeLives where one answers. Waits for the broker."""
    await _Look(topics, mqtt).done()


class _Look:
    def __init__(self, topics: Topics, mqtt: MqttSettings) -> None:
        self._topics = topics
        self._settings = mqtt
        number = uuid.uuid4().hex
        self._question = Word.WHO.with_number(number)
        self._answer = Word.HERE.with_number(number)
        self._asked_back = asyncio.Event()
        """Set once our own question is back: whatever was retained came before it."""
        self._answered = asyncio.Event()
        self._online = False
        self._mqtt = MqttClient(
            mqtt,
            client_id=f"edgevoice-agent-{topics.agent}-{number[:8]}",
            on_message=self._heard,
            subscriptions=(Subscription(topics.probe), Subscription(topics.status, retained=True)),
            session_expiry_s=_SESSION_S if mqtt.protocol == "5" else 0,
        )

    async def done(self) -> None:
        async with self._mqtt:
            await self._mqtt.wait_connected()
            self._mqtt.publish(Publication(self._topics.probe, self._question))
            if await _within(_PATIENCE_S, self._asked_back) and not self._online:
                return
            if self._online and await _within(_PATIENCE_S, self._answered):
                raise NamesakeLives(self._topics.agent, self._settings)

    def _heard(self, message: Message) -> None:
        if message.topic == self._topics.status:
            self._online = message.payload == Presence.ONLINE.value.encode()
        elif message.payload == self._question:
            self._asked_back.set()
        elif message.payload == self._answer:
            self._answered.set()


async def _within(timeout_s: float, event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except asyncio.TimeoutError:
        return False
    return True
