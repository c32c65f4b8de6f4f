"""What only MQTT callers can do, well or badly: topics, properties, the retain flag."""

import json
import uuid

import pytest

from tests.callers import mqtt_caller
from tests.wav_files import sine, wav

CLIP = wav(sine(seconds=0.5))


@pytest.mark.parametrize("operation", ["sing", "chat/x", "wav/id", "wav/a/b/c", ""])
def test_an_unknown_operation_is_not_found(mqtt, operation):
    request_id = uuid.uuid4().hex
    mqtt.publish(mqtt.request(operation), {"id": request_id, "text": "Hi"})
    assert mqtt.reply(request_id)["error"]["code"] == "not_found"


def test_a_wav_topic_with_a_mode_that_is_none(mqtt):
    request_id = uuid.uuid4().hex
    mqtt.publish(mqtt.request(f"wav/{request_id}/song"), CLIP)
    error = mqtt.reply(request_id)["error"]
    assert (error["code"], error["field"]) == ("bad_request", "reply_mode")


@pytest.mark.parametrize("request_id", ["x" * 65, "a b", "ä", "a$"])
def test_a_wav_topic_with_an_id_that_is_none(mqtt, request_id):
    mqtt.publish(mqtt.request(f"wav/{request_id}/text"), CLIP)
    reply = json.loads(mqtt.next().payload)
    assert (reply["error"]["code"], reply["error"]["field"]) == ("bad_request", "id")
    assert reply["id"] != request_id


def test_an_error_finds_its_way_by_the_id_of_a_request_that_is_none(mqtt):
    request_id = uuid.uuid4().hex
    mqtt.publish(mqtt.request(), f'{{"id": "{request_id}", "text": "cut sh'.encode())
    assert mqtt.reply(request_id)["error"]["code"] == "bad_request"
    topic = mqtt.reply_topic("to/here")
    mqtt.publish(mqtt.request(), {"texd": "Hi", "reply_to": topic})
    assert json.loads(mqtt.next(topic).payload)["error"]["field"] == "texd"


def test_a_hostile_response_topic_is_forbidden_and_told_to_the_caller_only(stack, mqtt5):
    with mqtt_caller(stack, "mqtt5", "other") as other:
        for topic in ("edgevoice/v1/orin/reply/other/x", "home/lock/set"):
            reply = mqtt5.ask_raw({"text": "Hi"}, ResponseTopic=topic)
            assert reply["error"]["code"] == "forbidden"
        assert other.ask(text="Mine")["text"] == "You said: Mine"
        assert other.arrived.empty()


def test_long_correlation_data_is_left_out(mqtt5):
    topic = mqtt5.reply_topic(uuid.uuid4().hex)
    mqtt5.publish(mqtt5.request(), "Hi", ResponseTopic=topic, CorrelationData=b"x" * 129)
    assert not hasattr(mqtt5.next(topic).properties, "CorrelationData")


def test_an_unknown_content_type_is_unsupported(mqtt5):
    reply = mqtt5.ask_raw(b"<x/>", ContentType="application/xml")
    assert (reply["error"]["code"], reply["error"]["reason"]) == ("unsupported_media", "content_type")


def test_a_property_that_cannot_be_meant(mqtt5):
    reply = mqtt5.ask_raw("Hi", UserProperty=[("ev-reply-mode", "song")])
    assert (reply["error"]["code"], reply["error"]["field"]) == ("bad_request", "reply_mode")


def test_a_byte_order_mark_in_a_property_takes_nobody_off_the_network(mqtt5):
    reply = mqtt5.ask_raw("Hi", UserProperty=[("x", "a\ufeffb")], ContentType="text/plain; x=\ufeff")
    assert reply["status"] == "ok"
    assert mqtt5.ask(text="Still there?")["status"] == "ok"


def test_json_with_a_byte_order_mark_is_json(mqtt):
    assert mqtt.ask_raw(b"\xef\xbb\xbf" + b'{"text": "Hi"}')["text"] == "You said: Hi"


@pytest.mark.parametrize(
    ("payload", "code"), [(b"#", "bad_request"), (b"x" * 70, "bad_request"), (b"x" * 5_000, "payload_too_large")]
)
def test_a_cancel_that_names_nothing(mqtt, payload, code):
    mqtt.publish(mqtt.request("cancel"), payload)
    assert json.loads(mqtt.next().payload)["error"]["code"] == code


def test_text_that_is_not_utf8(mqtt):
    assert mqtt.ask_raw(b"\xff\xfe\xfd")["error"]["code"] == "bad_request"


def test_message_expiry_shortens_the_deadline(mqtt5):
    reply = mqtt5.ask_raw("Hi", MessageExpiryInterval=30)
    assert reply["status"] == "ok"


def test_a_retained_request_is_ignored(mqtt5):
    request_id = uuid.uuid4().hex
    mqtt5.publish(mqtt5.request(), {"id": request_id, "text": "Hi"}, retain=True)
    mqtt5.publish(mqtt5.request(), b"", retain=True)
    assert mqtt5.ask(text="Next")["status"] == "ok"
    assert mqtt5.arrived.empty()


def test_a_caller_cannot_ask_as_somebody_else(stack, mqtt5):
    with mqtt_caller(stack, "mqtt5", "other") as other:
        other.publish(mqtt5.request(), {"id": "spoofed", "text": "Hi"})
        assert other.ask(text="Mine")["status"] == "ok"
    assert mqtt5.ask(text="Mine")["status"] == "ok"
    assert mqtt5.arrived.empty()
