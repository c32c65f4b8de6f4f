"""Conversations: what was said before is known, over MQTT 5, MQTT 3.1.1 and HTTP, also after a restart."""

import json
import threading
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.settings import ChatSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import http_caller, mqtt_caller

pytestmark = pytest.mark.once

SYSTEM = ChatSettings().system


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A model that says all it was asked, and one that takes its time."""
    llm = EngineSettings(name="scripted", options={"answer": "{asked}", "window": 200})
    models = {"slow": {"name": "scripted", "options": {"answer": "one two three four", "piece_delay_s": 0.2}}}
    environment = {"EDGEVOICE_SESSIONS__UNNAMED_IDLE_S": "600", "EDGEVOICE_MODELS": json.dumps(models)}
    settings = StackSettings.scripted(llm=llm, users=("other",), environment=environment)
    async with Stack(settings) as running:
        yield running


@pytest.fixture
def mqtt(stack):
    with mqtt_caller(stack) as caller:
        yield caller


def call(caller, **fields):
    """The reply to a call about conversations, its result or its error."""
    if caller.name == "http":
        return over_http(caller.client, **fields)
    call_id = uuid.uuid4().hex
    caller.publish(caller.request("session"), {"id": call_id, **fields})
    reply = caller.reply(call_id)
    return reply.get("result") or reply


def over_http(client, *, op, session_id=None, config=None, last=None):
    path = f"/v1/sessions/{session_id}" if session_id else "/v1/sessions"
    params = {"last": last} if last else None
    match op:
        case "list" | "get":
            response = client.get(path, params=params)
        case "delete":
            response = client.delete(path)
        case "reset":
            response = client.post(f"{path}/reset", json=config)
        case "config":
            response = client.put(f"{path}/config", json=config)
    body = response.json()
    return body if response.status_code == 200 else {"error": body}


def said(history):
    return [message["content"] for message in history["messages"]]


def test_what_was_said_before_is_known(caller, session_id):
    assert caller.ask(text="One", session_id=session_id)["text"] == f"{SYSTEM} / One"
    reply = caller.ask(text="Two", session_id=session_id)
    assert (reply["text"], reply["session_id"]) == (f"{SYSTEM} / One / Two", session_id)
    history = call(caller, op="get", session_id=session_id)
    assert said(history) == ["One", f"{SYSTEM} / One", "Two", f"{SYSTEM} / One / Two"]
    assert [message["role"] for message in history["messages"]] == ["user", "assistant"] * 2
    assert said(call(caller, op="get", session_id=session_id, last=1)) == ["Two", f"{SYSTEM} / One / Two"]


def test_conversations_are_apart_and_so_are_callers(stack, mqtt, session_id):
    mqtt.ask(text="Mine", session_id=session_id)
    assert mqtt.ask(text="Hi", session_id=f"{session_id}-2")["text"] == f"{SYSTEM} / Hi"
    with mqtt_caller(stack, user="other") as other:
        assert other.ask(text="Hi", session_id=session_id)["text"] == f"{SYSTEM} / Hi"
        assert call(other, op="get", session_id=f"{session_id}-2")["error"]["code"] == "not_found"


def test_who_names_none_has_one_of_his_own(stack):
    with mqtt_caller(stack, user="other") as other:
        call(other, op="reset")
        other.ask(text="One")
        assert other.ask(text="Two")["text"] == f"{SYSTEM} / One / Two"
        assert other.ask(text="Three", session_id="other")["text"] == f"{SYSTEM} / One / Two / Three"
        assert call(other, op="get")["session_id"] == "other"


def test_over_http_who_names_none_stands_alone(stack):
    with http_caller(stack) as http:
        http.ask(text="One")
        assert http.ask(text="Two")["text"] == f"{SYSTEM} / Two"


def test_what_brings_its_own_conversation_or_is_raw_has_no_other(mqtt, session_id):
    mqtt.ask(text="One", session_id=session_id)
    own = [{"role": "user", "content": "Two"}]
    assert mqtt.ask(messages=own, session_id=session_id)["text"] == f"{SYSTEM} / Two"
    mqtt.ask(text="Three", mode="raw", session_id=session_id)
    assert call(mqtt, op="get", session_id=session_id)["turns"] == 1


def test_reset_begins_it_anew_and_delete_forgets_it(caller, session_id):
    call(caller, op="config", session_id=session_id, config={"system": "Be glad."})
    caller.ask(text="One", session_id=session_id)
    assert call(caller, op="reset", session_id=session_id)["turns"] == 0
    assert caller.ask(text="Two", session_id=session_id)["text"] == "Be glad. / Two"
    assert call(caller, op="delete", session_id=session_id)["turns"] == 0
    assert caller.ask(text="Three", session_id=session_id)["text"] == f"{SYSTEM} / Three"


def test_all_that_a_configuration_may_say_is_taken(caller, session_id):
    config = {
        "persona": "nurse",
        "model": "default",
        "system": "Be glad.",
        "template": "plain",
        "language": "en",
        "voice": "slt",
        "on_overflow": "error",
        "params": {"temperature": 0.5, "max_tokens": 9, "stop": ["END"]},
    }
    assert call(caller, op="config", session_id=session_id, config=config)["config"] == config
    assert call(caller, op="reset", session_id=session_id, config=config)["config"] == config
    error = call(caller, op="config", session_id=session_id, config={"mood": "good"})["error"]
    assert error["code"] == "bad_request"


def test_a_reset_may_bring_another_configuration(caller, session_id):
    call(caller, op="config", session_id=session_id, config={"system": "Be glad."})
    assert caller.ask(text="Hi", session_id=session_id)["text"] == "Be glad. / Hi"
    told = call(caller, op="reset", session_id=session_id, config={"system": "Be sad.", "params": {"max_tokens": 2}})
    assert told["config"] == {"system": "Be sad.", "params": {"max_tokens": 2, "stop": []}}
    assert caller.ask(text="Hi", session_id=session_id)["text"] == "Be sad."
    reply = caller.ask(text="Hi", session_id=session_id, system="Be.", params={"max_tokens": 9})
    assert reply["text"] == "Be. / Hi / Hi"


def test_they_are_listed_the_latest_first(caller, session_id):
    names = [f"{session_id}-{number}" for number in range(3)]
    for name in names:
        caller.ask(text="Hi", session_id=name)
    listed = call(caller, op="list", last=3)["sessions"]
    assert [each["session_id"] for each in listed] == names[::-1]
    assert all(each["turns"] == 1 and each["used_at"] >= each["created_at"] for each in listed)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"op": "get", "session_id": "nobody"}, "not_found"),
        ({"op": "delete", "session_id": "nobody"}, "not_found"),
        ({"op": "sing"}, "bad_request"),
        ({}, "bad_request"),
        ({"op": "get", "config": {}}, "bad_request"),
        ({"op": "config", "session_id": "x", "config": {"colour": "blue"}}, "bad_request"),
        ({"op": "config", "session_id": "x", "config": {"params": {"temperature": 9}}}, "bad_request"),
        ({"op": "list", "reply_to": "edgevoice/v1/orin/reply/other/x"}, "forbidden"),
    ],
)
def test_what_cannot_be_done_says_why(mqtt, fields, code):
    assert call(mqtt, **fields)["error"]["code"] == code


def test_turns_of_one_conversation_wait_for_each_other(mqtt, session_id):
    for number in range(4):
        fields = {"id": f"{session_id}-{number}", "text": f"Number {number}", "session_id": session_id}
        mqtt.publish(mqtt.request(), fields)
    texts = [mqtt.reply(f"{session_id}-{number}")["text"] for number in range(4)]
    assert texts[-1] == f"{SYSTEM} / Number 0 / Number 1 / Number 2 / Number 3"


def test_conversations_do_not_wait_for_each_other(stack, mqtt, session_id):
    answered = threading.Event()

    def ask_slowly():
        with mqtt_caller(stack, user="other") as other:
            other.ask(text="Hi", session_id=session_id, model="slow")
            answered.set()

    slow = threading.Thread(target=ask_slowly)
    slow.start()
    mqtt.ask(text="Hi", session_id=session_id)
    assert not answered.is_set()
    slow.join()


def test_what_a_reset_comes_in_between_is_not_remembered(mqtt, session_id):
    request_id = uuid.uuid4().hex
    fields = {"id": request_id, "text": "Hi", "session_id": session_id, "model": "slow", "stream": {"text": True}}
    mqtt.publish(mqtt.request(), fields)
    while json.loads(mqtt.next(f"{mqtt.reply_topic(request_id)}/event").payload)["type"] != "token":
        pass
    mqtt.publish(
        mqtt.request("session"), {"id": f"{request_id}-r", "op": "config", "session_id": session_id, "config": {}}
    )
    mqtt.publish(mqtt.request("session"), {"id": f"{request_id}-s", "op": "reset", "session_id": session_id})
    assert mqtt.reply(request_id)["status"] == "ok"
    assert call(mqtt, op="get", session_id=session_id)["turns"] == 0


def test_of_a_cancelled_answer_what_was_written_is_remembered(mqtt, session_id):
    request_id = uuid.uuid4().hex
    fields = {"id": request_id, "text": "Hi", "session_id": session_id, "model": "slow", "stream": {"text": True}}
    mqtt.publish(mqtt.request(), fields)
    while json.loads(mqtt.next(f"{mqtt.reply_topic(request_id)}/event").payload)["type"] != "token":
        pass
    mqtt.publish(mqtt.request("cancel"), request_id)
    reply = mqtt.reply(request_id)
    assert reply["status"] == "cancelled"
    assert said(call(mqtt, op="get", session_id=session_id)) == ["Hi", reply["text"]]


def test_a_long_conversation_is_cut_at_its_beginning_and_keeps_its_instruction(mqtt, session_id):
    for number in range(40):
        reply = mqtt.ask(text=f"Number {number}", session_id=session_id, params={"max_tokens": 12})
        assert reply["status"] == "ok"
    assert reply["text"].startswith(SYSTEM)
    assert reply["context"]["dropped_messages"] >= 8
    assert reply["context"]["prompt_tokens"] + 12 <= reply["context"]["window"] == 200


def test_one_that_is_not_to_be_cut_is_refused_with_both_numbers(mqtt, session_id):
    for number in range(10):
        mqtt.ask(text=f"Number {number}", session_id=session_id, params={"max_tokens": 20})
    reply = mqtt.ask(text="And on", session_id=session_id, on_overflow="error", params={"max_tokens": 100})
    error = reply["error"]
    assert (error["code"], error["limit"]) == ("context_length_exceeded", 200)
    assert error["actual"] > 200


def test_one_may_be_told_in_short(mqtt, session_id):
    for number in range(30):
        fields = {"text": f"Number {number}", "session_id": session_id, "on_overflow": "summarize"}
        reply = mqtt.ask(**fields, params={"max_tokens": 12})
        assert reply["status"] == "ok"
    assert reply["context"]["dropped_messages"]
    assert call(mqtt, op="get", session_id=session_id)["summary"]


async def test_it_survives_a_restart(anyio_backend):  # noqa: ARG001
    settings = StackSettings.scripted(llm=EngineSettings(name="scripted", options={"answer": "{asked}"}))
    async with Stack(settings) as stack:
        with mqtt_caller(stack) as mqtt:
            call(mqtt, op="config", session_id="evening", config={"system": "Be brief."})
            mqtt.ask(text="One", session_id="evening")
        await stack.kill(Part.AGENT)
        await stack.start(Part.AGENT)
        with mqtt_caller(stack) as mqtt:
            assert mqtt.ask(text="Two", session_id="evening")["text"] == "Be brief. / One / Two"
