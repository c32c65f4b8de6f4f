"""paho's types to ours and back: properties of a connection, options of a subscription."""

from __future__ import annotations

from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.mqtt.message import Subscription


def connect_properties(session_expiry_s: int) -> Any:
    """MQTT 5 properties of a CONNECT."""
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_expiry_s
    return properties


def subscribe_options(subscription: Subscription) -> SubscribeOptions:
    """MQTT 5 options of one filter."""
    handling = (
        SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if subscription.retained else SubscribeOptions.RETAIN_DO_NOT_SEND
    )
    return SubscribeOptions(
        qos=subscription.qos, retainHandling=handling, retainAsPublished=subscription.retain_as_published
    )
