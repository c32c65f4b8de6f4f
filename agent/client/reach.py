"""Whether the agent can be asked: the way to it, and what it says of itself."""

from __future__ import annotations

import asyncio

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.presence import Info
from agent.contract.terms import Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Delivery, Message

CONNECT_PATIENCE_S = 3.0


class Reach:
    """The broker, and the agent behind it, as far as its status and info topics tell."""

    def __init__(self, mqtt: MqttClient, topics: Topics) -> None:
        self._mqtt = mqtt
        self._topics = topics
        self._online = asyncio.Event()
        self.presence: Presence | None = None
        """What the agent's status topic says; None until it said something."""
        self.info: Info | None = None
        """What the agent is and can do; None until it said so."""

    async def broker(self, timeout_s: float) -> None:
        """Returns once connected. ContractError: broker_unavailable."""
        try:
            await self._mqtt.wait_connected(timeout_s)
        except BrokerUnavailable as exc:
            raise ContractError(ErrorCode.BROKER_UNAVAILABLE, str(exc)) from exc

    async def agent(self) -> None:
        """Returns unless the agent says that it is not there. ContractError: broker_unavailable or agent_offline."""
        await self.broker(CONNECT_PATIENCE_S)
        if self.presence is Presence.OFFLINE:
            raise self._offline()

    async def online(self, timeout_s: float) -> None:
        """Returns once the agent says it is online. ContractError: broker_unavailable or agent_offline."""
        await self.broker(timeout_s)
        try:
            await asyncio.wait_for(self._online.wait(), timeout_s)
        except asyncio.TimeoutError as exc:
            raise self._offline() from exc

    def judge(self, client: str, delivery: Delivery) -> ContractError | None:
        """What the broker's word on the first copy of a request of `client` means; None where it is on its way."""
        if delivery is Delivery.NO_SUBSCRIBERS and not self._online.is_set():
            return self._offline()  # else it was there a moment ago, and is asked again when it is back
        if delivery is Delivery.REFUSED:
            return ContractError(ErrorCode.FORBIDDEN, f"the broker does not let {client!r} ask; see its ACL")
        return None

    def hear(self, message: Message) -> bool:
        """Takes what the agent says of itself, and nothing else; True where that is that it is online."""
        if message.topic == self._topics.info:
            self.info = Info.decode(message.payload)
        if message.topic != self._topics.status:
            return False
        self.presence = Presence(message.payload.decode())
        if self.presence is Presence.ONLINE:
            self._online.set()
        else:
            self._online.clear()
        return self.presence is Presence.ONLINE

    def _offline(self) -> ContractError:
        return ContractError(
            ErrorCode.AGENT_OFFLINE, f"the agent {self._topics.agent!r} is not online", retry_after_ms=2_000
        )
