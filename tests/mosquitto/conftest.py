"""Clients of a broker, by user, in either version of MQTT."""

from collections.abc import Callable, Sequence

import pytest

from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Subscription
from agent.mqtt.settings import MqttSettings
from agent.stack.broker import USERS, Broker


def client_of(
    mqtt: MqttSettings,
    heard: Callable[[Message], None] = lambda _: None,
    filters: Sequence[str] = (),
    *,
    client_id: str = "",
) -> MqttClient:
    """A client that listens on `filters`."""
    return MqttClient(
        mqtt,
        client_id=client_id or f"test-{mqtt.username}-{len(filters)}",
        on_message=heard,
        subscriptions=[Subscription(topic_filter, retained=True) for topic_filter in filters],
    )


@pytest.fixture
async def device_broker(broker_folder):
    """A broker with listeners for devices, too."""
    async with Broker(broker_folder, users=(*USERS, "other"), devices=True) as running:
        yield running
