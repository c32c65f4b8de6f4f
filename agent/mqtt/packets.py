"""PUBLISH and PUBACK as bytes: the packets that each request costs, for which paho's general way takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paho.mqtt.enums import MessageType
from paho.mqtt.exception import MalformedPacket

from agent.mqtt.message import Delivery, Message, Publication

_DUP, _QOS, _RETAIN = 0x08, 0x06, 0x01
_EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION_DATA, _USER_PROPERTY = 2, 3, 8, 9, 38
_FAILURE, _NO_MATCHING_SUBSCRIBERS = 0x80, 0x10
_MOST_LENGTH_BYTES = 4
_MOST_USER_PROPERTIES = 64
"""Many more than anybody means anything by; a packet may hold a million, and its reader has others to read for."""


def publish_packet(publication: Publication, mid: int, *, v5: bool) -> bytes:
    """PUBLISH; `mid` is its packet identifier, where it has one. ValueError for a topic that is too long."""
    first = MessageType.PUBLISH | publication.qos << 1 | publication.retain
    words = [_binary(publication.topic.encode())]
    if publication.qos:
        words.append(mid.to_bytes(2, "big"))
    if v5:
        properties = _property(_CONTENT_TYPE, (publication.content_type or "").encode())
        properties += _property(_CORRELATION_DATA, publication.correlation_data or b"")
        words.append(_length(len(properties)) + properties)
    size = sum(map(len, words)) + len(publication.payload)
    return b"".join((bytes((first,)), _length(size), *words, publication.payload))


def read_publish(first: int, rest: bytearray, *, v5: bool, epoch: int) -> Message:
    """The message in a PUBLISH, by its first byte and what follows its length; it came over the connection `epoch`.

    MalformedPacket or UnicodeDecodeError where it is none.
    """
    reader = _Reader(rest)
    topic = reader.text()
    qos = (first & _QOS) >> 1
    mid = reader.number(2) if qos else 0
    properties = _read_properties(reader) if v5 else {}
    return Message(
        topic,
        reader.rest(),
        qos=qos,
        retain=bool(first & _RETAIN),
        mid=mid,
        redelivered=bool(first & _DUP),
        epoch=epoch,
        **properties,
    )


def mid_of(first: int, rest: bytearray) -> int | None:
    """The packet identifier of a PUBLISH, which may hold what cannot be read; None where it has none."""
    if not first & _QOS:
        return None
    reader = _Reader(rest)
    reader.binary()
    return reader.number(2)


def read_puback(rest: bytearray) -> tuple[int, Delivery]:
    """Which publication the broker answered, and what it said of it. MalformedPacket where it is no PUBACK."""
    mid = _Reader(rest).number(2)
    reason = rest[2] if len(rest) > 2 else 0  # noqa: PLR2004 - it follows the identifier, where it is not 0
    if reason >= _FAILURE:
        return mid, Delivery.REFUSED
    return mid, Delivery.NO_SUBSCRIBERS if reason == _NO_MATCHING_SUBSCRIBERS else Delivery.DONE


class _Reader:
    """The fields of a packet, one after the other; MalformedPacket past its end."""

    def __init__(self, packet: bytearray) -> None:
        self._view = memoryview(packet)
        self._at = 0

    @property
    def at(self) -> int:
        """How much was read [bytes]."""
        return self._at

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def binary(self) -> bytes:
        return bytes(self._take(self.number(2)))

    def text(self) -> str:
        return self.binary().decode()

    def pair(self) -> tuple[str, str]:
        return self.text(), self.text()

    def length(self) -> int:
        value = 0
        for place in range(_MOST_LENGTH_BYTES):
            byte = self.number(1)
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
                return value
        raise MalformedPacket("a length that does not end")

    def rest(self) -> bytes:
        return bytes(self._view[self._at :])

    def _take(self, size: int) -> memoryview:
        start, self._at = self._at, self._at + size
        if self._at > len(self._view):
            raise MalformedPacket("a field reaches past its packet")
        return self._view[start : self._at]


_PROPERTIES: dict[int, tuple[str | None, Callable[[_Reader], Any]]] = {
    1: (None, lambda reader: reader.number(1)),  # payload format indicator
    _EXPIRY: ("expiry_s", lambda reader: reader.number(4)),
    _CONTENT_TYPE: ("content_type", _Reader.text),
    _RESPONSE_TOPIC: ("response_topic", _Reader.text),
    _CORRELATION_DATA: ("correlation_data", _Reader.binary),
    11: (None, _Reader.length),  # subscription identifier
    35: (None, lambda reader: reader.number(2)),  # topic alias
    _USER_PROPERTY: (None, _Reader.pair),
}
"""What a PUBLISH may say beside its payload: the field of Message, None where it means nothing to us."""


def _read_properties(reader: _Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    users: list[tuple[str, str]] = []
    end = reader.length() + reader.at
    while reader.at < end:
        identifier = reader.length()
        if identifier not in _PROPERTIES:
            raise MalformedPacket(f"{identifier} is no property of a PUBLISH")
        name, read = _PROPERTIES[identifier]
        value = read(reader)
        if identifier == _USER_PROPERTY:
            if len(users) == _MOST_USER_PROPERTIES:
                raise MalformedPacket(f"more than {_MOST_USER_PROPERTIES} user properties")
            users.append(value)
        elif name:
            found[name] = value
    if reader.at != end:
        raise MalformedPacket("a property reaches past the others")
    return {**found, "user_properties": tuple(users)}


def _property(identifier: int, value: bytes) -> bytes:
    return bytes((identifier,)) + _binary(value) if value else b""


def _binary(value: bytes) -> bytes:
    if len(value) > 0xFFFF:  # noqa: PLR2004 - what two bytes count
        raise ValueError(f"{len(value)} bytes are too many for a field of MQTT")
    return len(value).to_bytes(2, "big") + value


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, 0x80)
        encoded.append(low | 0x80 if value else low)
        if not value:
            return bytes(encoded)
