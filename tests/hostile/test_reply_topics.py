"""The confused deputy: wherever a stranger points, the agent publishes below the caller's own replies only."""

import json
import uuid

import pytest

pytestmark = pytest.mark.once

ROOT = "edgevoice/v1/orin"
MINE = f"{ROOT}/reply/demo"

ELSEWHERE = {
    "another's command topic": "home/lock/set",
    "another's replies": f"{ROOT}/reply/other/x",
    "the replies of all": f"{ROOT}/reply/",
    "its own request topic": f"{ROOT}/request/demo/chat",
    "another's request topic": f"{ROOT}/request/other/chat",
    "an operator's topic": f"{ROOT}/admin/operator/drain",
    "the agent's status": f"{ROOT}/status",
    "the agent's info": f"{ROOT}/info",
    "the agent's probe": f"{ROOT}/probe",
    "another agent": "edgevoice/v1/other/reply/demo/x",
    "the broker's security plugin": "$CONTROL/dynamic-security/v1",
    "the broker's figures": "$SYS/broker/version",
    "a shared subscription": f"$share/x/{MINE}/y",
    "everything": "#",
    "any level": "+",
    "a wildcard at the end": f"{MINE}/#",
    "a wildcard in the middle": f"{MINE}/+/x",
    "a wildcard in a word": f"{MINE}/x#",
    "its own replies without an id": MINE,
    "an empty last level": f"{MINE}/",
    "one that only begins alike": f"{ROOT}/reply/demonstration/x",
    "up and down again": f"{MINE}x/../other/y",
    "a blank": " ",
    "a line break": f"{MINE}/x\n",
    "an escape": f"{MINE}/\x1b[2J",
    "a direction override": f"{MINE}/\u202ex",
    "600 bytes": f"{MINE}/" + "x" * 600,
    "60 kB": f"{MINE}/" + "x" * 60_000,
}


@pytest.fixture
def nothing_strange(witness):
    yield
    assert witness.strange() == []


@pytest.mark.usefixtures("nothing_strange")
def test_a_reply_to_that_is_not_the_callers_is_answered_on_his_own_topic(mqtt):
    for name, topic in ELSEWHERE.items():
        reply = mqtt.ask(text="Hi", reply_to=topic)
        assert reply["error"]["code"] in {"forbidden", "bad_request"}, name
        assert reply["error"]["field"] == "reply_to", name


@pytest.mark.usefixtures("nothing_strange")
def test_nor_does_a_response_topic_lead_elsewhere(mqtt5):
    for name, topic in ELSEWHERE.items():
        if any(character < " " for character in topic):
            continue  # the broker hangs up on whoever sends such a packet
        request_id = uuid.uuid4().hex
        mqtt5.publish(mqtt5.request(), {"id": request_id, "text": "Hi"}, ResponseTopic=topic)
        reply = mqtt5.reply(request_id)
        assert reply["error"]["code"] == "forbidden", name


@pytest.mark.usefixtures("nothing_strange")
def test_events_go_where_the_reply_goes(mqtt):
    request_id = uuid.uuid4().hex
    topic = mqtt.reply_topic(f"deep/er/{request_id}")
    fields = {"id": request_id, "text": "Hi", "reply_to": topic, "stream": {}}
    mqtt.publish(mqtt.request(), fields)
    topics = {(message := mqtt.next()).topic}
    while message.topic != topic:
        topics.add((message := mqtt.next()).topic)
    assert topics == {topic, f"{topic}/event"}


IDS = {
    "empty": "",
    "65 characters": "x" * 65,
    "slash": "a/b",
    "climbing": "../other/x",
    "plus": "+",
    "hash": "#",
    "dollar": "$SYS",
    "NUL": "a\0b",
    "emoji": "\u263a",
    "half a character": "\ud800",
    "a line break": "a\nb",
    "a zero-width space": "a\u200bb",
    "wide letters": "\uff41\uff42",
    "a number": 7,
    "an enormous number": 10**308,
    "a truth": True,
    "a list": ["x"],
    "an object": {"id": "x"},
}


@pytest.mark.usefixtures("nothing_strange")
def test_an_id_that_is_none_is_answered_on_a_topic_that_is_one(mqtt):
    for name, request_id in IDS.items():
        reply = mqtt.ask_raw(json.dumps({"id": request_id, "text": "Hi"}))
        assert (reply["status"], reply["error"]["code"]) == ("error", "bad_request"), name
        # Half a character is no JSON, so there is no field yet.
        assert reply["error"].get("field", "id") == "id", name


@pytest.mark.usefixtures("nothing_strange")
def test_nor_does_an_id_in_the_topic_lead_elsewhere(mqtt):
    for request_id in ("x" * 65, "a b", "\u263a", "$SYS", "\u202ex", "%2e%2e", ""):
        mqtt.publish(f"{ROOT}/request/demo/wav/{request_id}/text", b"RIFF")
        reply = json.loads(mqtt.next().payload)
        assert reply["error"]["code"] in {"bad_request", "not_found"}, request_id


@pytest.mark.usefixtures("nothing_strange")
def test_a_topic_that_no_operation_has_is_answered_too(mqtt):
    for words in ("", "chat/", "CHAT", "chat/x", "wav", "wav/x", "wav/x/song", "wav/x/text/y", "a/b/c/d", "\u263a"):
        mqtt.publish(f"{ROOT}/request/demo/{words}", "Hi")
        reply = json.loads(mqtt.next().payload)
        assert reply["error"]["code"] in {"bad_request", "not_found"}, words
