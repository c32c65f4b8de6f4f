"""In whose names is asked: the clients whose replies are heard."""

from __future__ import annotations

import asyncio

from agent.client.reach import CONNECT_PATIENCE_S, Reach
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Subscription, SubscriptionRefused


class Names:
    """Those of one connection: its own, and those that were asked for."""

    def __init__(self, own: str, mqtt: MqttClient, reach: Reach, topics: Topics) -> None:
        """`own`: its replies are heard anyway."""
        self._own = own
        self._mqtt = mqtt
        self._reach = reach
        self._topics = topics
        self._heard = {own}

    async def may_ask(self, client: str | None) -> str:
        """The client in whose name to ask, once that can be done; from then on, its replies are heard.

        ContractError: broker_unavailable, agent_offline, or forbidden by the broker's ACL. Mosquitto's way to forbid is
        to let us hear nothing; what is asked then is `forbidden`, on MQTT 3.1.1 silence.
        """
        await self._reach.agent()
        client = client or self._own
        if client not in self._heard:
            await self._hear(client)
        return client

    async def _hear(self, client: str) -> None:
        await self._reach.broker(CONNECT_PATIENCE_S)
        try:
            granted = self._mqtt.subscribe(Subscription(self._topics.all_replies(client)))
            await asyncio.wait_for(granted, CONNECT_PATIENCE_S)
        except asyncio.TimeoutError as exc:
            raise ContractError(ErrorCode.BROKER_UNAVAILABLE, "the broker does not answer") from exc
        except SubscriptionRefused as exc:
            raise ContractError(ErrorCode.FORBIDDEN, str(exc)) from exc
        self._heard.add(client)
