"""paho's types to ours and back: messages, properties, reason codes."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt import properties as paho_properties
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.mqtt.message import Delivery, Message, Publication, Subscription

_NO_MATCHING_SUBSCRIBERS = 0x10
_LENGTH_BYTES = 2


def connect_properties(session_expiry_s: int) -> Any:
    """MQTT 5 properties of a CONNECT."""
    return _properties(PacketTypes.CONNECT, SessionExpiryInterval=session_expiry_s)


def publish_properties(publication: Publication) -> Any:
    """MQTT 5 properties of a PUBLISH."""
    return _properties(
        PacketTypes.PUBLISH, ContentType=publication.content_type, CorrelationData=publication.correlation_data
    )


def subscribe_options(subscription: Subscription) -> SubscribeOptions:
    """MQTT 5 options of one filter."""
    handling = (
        SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if subscription.retained else SubscribeOptions.RETAIN_DO_NOT_SEND
    )
    return SubscribeOptions(
        qos=subscription.qos, retainHandling=handling, retainAsPublished=subscription.retain_as_published
    )


def delivery_of(reason: ReasonCode) -> Delivery:
    """What the broker said of a publication."""
    if reason.is_failure:
        return Delivery.REFUSED
    return Delivery.NO_SUBSCRIBERS if reason.value == _NO_MATCHING_SUBSCRIBERS else Delivery.DONE


def message_of(message: paho.MQTTMessage, epoch: int) -> Message:
    """A message as it arrived on the connection `epoch`."""
    properties = message.properties
    return Message(
        topic=message.topic,
        payload=bytes(message.payload),
        qos=message.qos,
        retain=message.retain,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        content_type=getattr(properties, "ContentType", None),
        expiry_s=getattr(properties, "MessageExpiryInterval", None),
        user_properties=tuple(getattr(properties, "UserProperty", ())),
        mid=message.mid,
        redelivered=message.dup,
        epoch=epoch,
    )


def _properties(packet_type: int, **values: object) -> Any:
    properties: Any = Properties(packet_type)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def _read_utf8(buffer: bytes, available: int) -> tuple[str, int]:
    length = int.from_bytes(buffer[:_LENGTH_BYTES], "big")
    if available < _LENGTH_BYTES or length > available - _LENGTH_BYTES:
        raise MalformedPacket("a string reaches past its packet")
    return buffer[_LENGTH_BYTES : _LENGTH_BYTES + length].decode(), _LENGTH_BYTES + length


# paho drops the connection over U+FEFF in a property. MQTT allows the character, so the broker sends the message again
# at every reconnect: one sender could keep an agent off the network for good.
paho_properties.readUTF = _read_utf8
