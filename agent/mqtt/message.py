"""What goes through the broker, as values: paho's own types stay in this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Message:
    """A message as it arrived; its MQTT 5 properties are empty where the sender speaks 3.1.1."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: str | None = None
    expiry_s: int | None = None
    """Message expiry left when it arrived [s]."""
    user_properties: tuple[tuple[str, str], ...] = ()
    mid: int = 0
    """Packet identifier, for the acknowledgement."""
    redelivered: bool = False
    """Sent before, and not acknowledged: who got it then may not have outlived it."""
    epoch: int = 0
    """Which connection it came over; an acknowledgement is worth nothing on another one."""

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        properties = sum(len(name) + len(value) for name, value in self.user_properties)
        return len(self.payload) + properties + len(self.correlation_data or b"")


@dataclass(frozen=True)
class Publication:
    """A message to send."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str | None = None
    correlation_data: bytes | None = None

    @property
    def packet_bytes(self) -> int:
        """Upper bound of its size as an MQTT packet [bytes]."""
        words = len(self.topic.encode()) + len(self.content_type or "")
        return words + len(self.correlation_data or b"") + len(self.payload) + 32


@dataclass(frozen=True)
class Subscription:
    """A topic filter to hear."""

    topic_filter: str
    qos: int = 1
    retained: bool = False
    """Whether messages that were retained before are wanted."""
    retain_as_published: bool = True
    """Whether a message that is sent just now keeps its retain flag, so that it can be told (MQTT 5)."""


class Delivery(Enum):
    """What the broker said of a publication."""

    DONE = "done"
    NO_SUBSCRIBERS = "no matching subscribers"
    REFUSED = "refused"
    """Mostly: the broker's ACL forbids the topic."""


class MqttError(Exception):
    """The broker cannot be used as asked."""


class BrokerUnavailable(MqttError):
    """No connection within the time given; says why as far as known."""


class SubscriptionRefused(MqttError):
    """The broker does not let us hear a topic."""

    def __init__(self, refused: Mapping[str, str]) -> None:
        """`refused` by filter: why."""
        super().__init__("; ".join(f"the subscription {name!r} was refused: {why}" for name, why in refused.items()))


class PacketTooLarge(MqttError):
    """The broker would drop the connection over a packet of this size."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are more than the broker takes ({limit})")
        self.size = size
        self.limit = limit
