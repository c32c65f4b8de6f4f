"""PUBLISH and PUBACK as paho itself writes and reads them, and what comes of bytes that are neither."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.mqtt.message import Delivery, Publication
from agent.mqtt.packets import mid_of, publish_packet, read_puback, read_publish

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
TOPIC = TEXT.filter(bool)
MID = st.integers(1, 65_535)
VERSIONS = {True: MQTTProtocolVersion.MQTTv5, False: MQTTProtocolVersion.MQTTv311}

publications = st.builds(
    Publication,
    TOPIC,
    st.binary(max_size=300),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    content_type=st.none() | TEXT.filter(bool),
    correlation_data=st.none() | st.binary(min_size=1, max_size=200),
)


def opened(packet):
    """The first byte of a packet, and what follows its length."""
    at = next(at for at, byte in enumerate(packet[1:], 2) if byte < 0x80)
    size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(packet[1:at]))
    assert len(packet) == at + size
    return packet[0], bytearray(packet[at:])


@given(publications, MID, st.booleans())
@example(Publication("t", bytes(20_000)), 1, True)
@example(Publication("t", bytes(2_100_000)), 65_535, False)
def test_paho_reads_what_we_write(publication, mid, v5):
    first, rest = opened(publish_packet(publication, mid, v5=v5))
    read = _packet.decode_publish(first, rest, VERSIONS[v5])
    assert (read.topic.decode(), read.payload) == (publication.topic, publication.payload)
    assert (read.qos, read.retain, read.dup) == (publication.qos, publication.retain, False)
    assert read.mid == (mid if publication.qos else 0)
    if v5:
        assert getattr(read.properties, "ContentType", None) == publication.content_type
        assert getattr(read.properties, "CorrelationData", None) == publication.correlation_data


@given(publications, MID, st.booleans())
def test_we_read_what_we_write(publication, mid, v5):
    first, rest = opened(publish_packet(publication, mid, v5=v5))
    message = read_publish(first, rest, v5=v5, epoch=7)
    assert (message.topic, message.payload) == (publication.topic, publication.payload)
    assert (message.qos, message.retain, message.epoch) == (publication.qos, publication.retain, 7)
    assert message.content_type == (publication.content_type if v5 else None)
    assert message.correlation_data == (publication.correlation_data if v5 else None)
    assert mid_of(first, rest) == (mid if publication.qos else None)
    assert not publication.qos or message.mid == mid


@given(
    st.integers(0, 2**32 - 1),
    TEXT,
    st.binary(max_size=50),
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4),
    st.integers(1, 268_435_455),
)
def test_we_read_every_property_that_paho_writes(expiry_s, text, data, pairs, subscription):
    properties = Properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = expiry_s
    properties.ContentType = properties.ResponseTopic = text
    properties.CorrelationData = data
    properties.UserProperty = pairs
    properties.SubscriptionIdentifier = subscription
    properties.TopicAlias = 3
    rest = bytearray(b"\x00\x01t" + properties.pack() + b"payload")
    message = read_publish(0x38, rest, v5=True, epoch=1)
    assert message.payload == b"payload"
    assert message.redelivered
    assert (message.expiry_s, message.content_type, message.response_topic) == (expiry_s, text, text)
    assert (message.correlation_data, message.user_properties) == (data, tuple(pairs))


def test_a_million_user_properties_are_not_read():
    pairs = b"\x26\x00\x00\x00\x00" * 1_000_000
    length = bytes(
        (len(pairs) & 0x7F | 0x80, len(pairs) >> 7 & 0x7F | 0x80, len(pairs) >> 14 & 0x7F | 0x80, len(pairs) >> 21)
    )
    packet = bytearray(b"\x00\x01t\x00\x07" + length + pairs)
    with pytest.raises(MalformedPacket, match="more than 64 user properties"):
        read_publish(0x32, packet, v5=True, epoch=1)
    assert mid_of(0x32, packet) == 7


@given(st.integers(0x30, 0x3F), st.binary(max_size=60), st.booleans())
@example(0x32, b"\x00\x01t\x00\x01\x02\x03\x00", True)
@example(0x32, b"\x00\x01t\x00\x01\xff\xff\xff\xff\x01", True)
@example(0x32, b"\x00\x01t\x00\x01\x02\x7f\x00", True)
def test_what_is_no_publish_is_told_to_be_none(first, rest, v5):
    try:
        message = read_publish(first, bytearray(rest), v5=v5, epoch=1)
    except (MalformedPacket, UnicodeDecodeError):
        return
    assert rest.endswith(message.payload)


@pytest.mark.parametrize(
    ("rest", "delivery"),
    [
        (b"\x01\x02", Delivery.DONE),
        (b"\x01\x02\x00", Delivery.DONE),
        (b"\x01\x02\x10\x00", Delivery.NO_SUBSCRIBERS),
        (b"\x01\x02\x87\x00", Delivery.REFUSED),
    ],
)
def test_the_brokers_word_on_a_publication(rest, delivery):
    assert read_puback(bytearray(rest)) == (0x0102, delivery)


def test_an_acknowledgement_that_is_cut_off_is_none():
    with pytest.raises(MalformedPacket):
        read_puback(bytearray(b"\x01"))


def test_a_topic_that_mqtt_cannot_carry_is_refused():
    with pytest.raises(ValueError, match="too many"):
        publish_packet(Publication("t" * 65_536, b""), 1, v5=True)
