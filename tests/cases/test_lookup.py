"""What became of a request, asked without asking it again."""

import json
import uuid

import pytest

from tests.callers import mqtt_caller
from tests.wav_files import sine, wav

CLIP = wav(sine(seconds=0.5))


def look_up(caller, request_id, **fields):
    """The reply to a lookup of `request_id`."""
    lookup_id = uuid.uuid4().hex
    caller.publish(caller.request("lookup"), {"id": lookup_id, "request_id": request_id, **fields})
    return caller.reply(lookup_id)


def test_what_is_answered_comes_with_its_reply(mqtt):
    first = mqtt.ask(text="Hi", reply_mode="both")
    found = look_up(mqtt, first["id"])
    assert (found["status"], found["result"]["state"]) == ("ok", "done")
    assert found["result"]["reply"] == first


def test_a_bare_id_is_enough(mqtt):
    request_id = mqtt.ask(text="Hi")["id"]
    mqtt.publish(mqtt.request("lookup"), request_id)
    found = json.loads(mqtt.next().payload)
    assert (found["id"] != request_id, found["result"]["reply"]["text"]) == (True, "You said: Hi")


def test_a_response_topic_and_correlation_data_are_honoured(mqtt5):
    request_id = mqtt5.ask(text="Hi")["id"]
    topic = mqtt5.reply_topic("rr/7")
    mqtt5.publish(mqtt5.request("lookup"), request_id, ResponseTopic=topic, CorrelationData=b"\x00\xff")
    answer = mqtt5.next(topic)
    assert (answer.properties.CorrelationData, json.loads(answer.payload)["result"]["state"]) == (b"\x00\xff", "done")


def test_nobody_looks_up_the_request_of_somebody_else(stack, mqtt5):
    request_id = mqtt5.ask(text="Hi")["id"]
    with mqtt_caller(stack, user="other") as other:
        assert look_up(other, request_id)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"id": "a", "request_id": "a"}, "bad_request"),
        ({"id": "a"}, "bad_request"),
        ({"id": "a", "request_id": "b", "reply_to": "home/lock"}, "forbidden"),
        ({"id": "a", "request_id": "b", "colour": "red"}, "bad_request"),
        ({"id": "a", "request_id": "b" * 2_000}, "payload_too_large"),
        ({"id": "a", "request_id": "never-asked"}, "not_found"),
    ],
)
def test_what_cannot_be_looked_up_says_why(mqtt, payload, code):
    mqtt.publish(mqtt.request("lookup"), payload)
    assert mqtt.reply("a")["error"]["code"] == code


def test_spoken_requests_are_found_too(mqtt5):
    request_id = mqtt5.ask_wav(CLIP)["id"]
    assert look_up(mqtt5, request_id)["result"]["reply"]["transcript"]["text"] == "turn on the kitchen lights"
