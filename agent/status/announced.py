"""What the agent says of itself on its retained topics, as any user of the broker may hear it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from agent.contract.presence import Info, State
from agent.contract.terms import Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Message, Subscription
from agent.mqtt.settings import MqttSettings

_CONNECT_S = 5.0
_RETAINED_S = 2.0


@dataclass
class Announced:
    """What was heard."""

    presence: Presence | None = None
    """Whether the agent is there; None where it never said so."""
    info: Info | None = None
    """What it is and can do."""
    state: State | None = None
    """How it fares."""
    trouble: str | None = None
    """Why nothing could be heard."""

    @property
    def online(self) -> bool:
        """Whether it would answer."""
        return self.presence is Presence.ONLINE


async def hear(mqtt: MqttSettings, topics: Topics) -> Announced:
    """What the topics hold, or the trouble with the broker."""
    heard, all_of_it = Announced(), asyncio.Event()

    def on_message(message: Message) -> None:
        _take(heard, message, topics)
        if heard.presence and heard.info and heard.state:
            all_of_it.set()

    retained = (topics.status, topics.info, topics.state)
    client = MqttClient(
        mqtt,
        client_id=f"edgevoice-status-{uuid.uuid4().hex[:8]}",
        on_message=on_message,
        subscriptions=[Subscription(topic, retained=True) for topic in retained],
    )
    try:
        mqtt.check_files()
        async with client:
            await client.wait_connected(_CONNECT_S)
            await asyncio.wait_for(all_of_it.wait(), _RETAINED_S)
    except asyncio.TimeoutError:  # it never said all of it
        pass
    except (BrokerUnavailable, OSError) as exc:
        heard.trouble = str(exc)
    return heard


def _take(heard: Announced, message: Message, topics: Topics) -> None:
    if message.topic == topics.status:
        heard.presence = Presence(message.payload.decode())
    elif message.topic == topics.info:
        heard.info = Info.decode(message.payload)
    elif message.topic == topics.state:
        heard.state = State.decode(message.payload)
