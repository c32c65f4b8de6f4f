"""A request chooses its model; operators see, load and unload them: over MQTT 5, MQTT 3.1.1 and HTTP."""

import json

import pytest

from agent.stack import Part, Stack, StackSettings
from tests.callers import mqtt_caller

pytestmark = pytest.mark.once


@pytest.fixture(params=["mqtt5", "mqtt311", "http"])
def operate(request, stack):
    """Makes an operator's call, over each way in: its result, or its error."""
    if request.param == "http":
        http = request.getfixturevalue("http").client

        def call(operation, model=None):
            if operation.endswith("load"):
                answer = http.post(f"/v1/admin/models/{model}/{operation.partition('.')[2]}")
            else:
                answer = http.get(f"/v1/admin/{operation.removesuffix('.list')}")
            body = answer.json()
            return body if answer.status_code == 200 else {"error": body}

        yield call
        return
    with mqtt_caller(stack, request.param, user="operator") as caller:

        def call(operation, model=None):
            caller.publish(
                f"{caller.base}/admin/operator/{operation}", {"id": "op", **({"model": model} if model else {})}
            )
            reply = caller.reply("op")
            return reply.get("result") or reply

        yield call


def loaded(answer):
    return {model["name"] for model in answer["models"] if model["loaded"]}


def test_a_request_chooses_its_model(caller):
    assert caller.ask(text="Hi", model="poet")["text"] == "A rose is a"
    assert caller.ask(text="Hi", model="parrot", system="Sing.")["text"] == "System: Sing.\nUser: Hi\nAssistant:"
    assert caller.ask(text="Hi", model="default")["text"] == "You said: Hi"


def test_a_raw_question_reaches_the_model_as_it_is(caller):
    asked = "[INST] Hi <|im_end|> [/INST]"
    assert caller.ask(text=asked, model="parrot", mode="raw")["text"] == asked
    error = caller.ask(text=asked, mode="raw", system="Sing.")["error"]
    assert (error["code"], error["field"]) == ("bad_request", "system")


def test_a_model_that_is_not_there_is_named_with_those_that_are(caller):
    error = caller.ask(text="Hi", model="another")["error"]
    assert (error["code"], error["field"]) == ("not_found", "model")
    assert "default, parrot, poet, giant" in error["message"]


def test_a_model_that_does_not_fit_is_refused_with_the_numbers(caller):
    error = caller.ask(text="Hi", model="giant")["error"]
    assert (error["code"], error["reason"], error["actual"]) == ("model_not_ready", "out_of_memory", 2**50)
    assert 0 < error["limit"] < 2**50


def test_operators_load_and_unload(operate):
    assert "poet" in loaded(operate("models.load", "poet"))
    assert "poet" in loaded(operate("models.list"))
    assert "poet" not in loaded(operate("models.unload", "poet"))
    assert operate("models.load", "giant")["error"]["reason"] == "out_of_memory"
    assert operate("models.unload", "another")["error"]["code"] == "not_found"


def test_operators_see_how_the_agent_fares(operate):
    health = operate("health")
    assert (health["state"]["phase"], health["info"]["agent"]) == ("ready", "orin")
    assert health["available_bytes"] > 0
    assert [model["name"] for model in health["models"]] == ["default", "parrot", "poet", "giant"]
    assert health["info"]["models"] == ["default", "parrot", "poet", "giant"]


@pytest.mark.parametrize(
    ("operation", "payload", "code"),
    [
        ("models.load", {}, "bad_request"),
        ("models.load", {"model": "a b"}, "bad_request"),
        ("models.load", {"modell": "poet"}, "bad_request"),
        ("models.load", "{", "bad_request"),
        ("reboot", {}, "not_found"),
        ("", {}, "not_found"),
        ("health", "x" * 300_000, "payload_too_large"),
        ("health", {"reply_to": "edgevoice/v1/orin/reply/demo/1"}, "forbidden"),
    ],
    ids=str,
)
def test_a_call_that_is_none_is_answered(stack, operation, payload, code):
    with mqtt_caller(stack, "mqtt5", user="operator") as caller:
        caller.publish(f"{caller.base}/admin/operator/{operation}", payload)
        assert json.loads(caller.next().payload)["error"]["code"] == code


def test_an_empty_call_is_answered_where_mqtt_5_says(stack):
    with mqtt_caller(stack, "mqtt5", user="operator") as caller:
        topic = caller.reply_topic("mine")
        caller.publish(f"{caller.base}/admin/operator/models.list", b"", ResponseTopic=topic, CorrelationData=b"7")
        message = caller.next(topic)
        assert message.properties.CorrelationData == b"7"
        assert json.loads(message.payload)["status"] == "ok"


@pytest.mark.anyio
async def test_only_operators_of_the_agents_own_settings_are_answered():
    """Where the broker lets somebody in whom the agent does not know as an operator."""
    settings = StackSettings.scripted(
        parts=(Part.BROKER, Part.AGENT), operators=("demo",), environment={"EDGEVOICE_OPERATORS": '["other"]'}
    )
    async with Stack(settings) as stack:
        with mqtt_caller(stack) as caller:
            caller.publish(f"{caller.base}/admin/demo/drain", {"id": "op"})
            assert caller.reply("op")["error"]["code"] == "forbidden"


@pytest.mark.anyio
async def test_drain_finishes_what_runs_and_ends_the_agent():
    slow = {"name": "scripted", "options": {"answer": "done", "delay_s": 1.0}}
    settings = StackSettings.scripted(
        parts=(Part.BROKER, Part.AGENT), operators=("operator",), environment={"EDGEVOICE_LLM": json.dumps(slow)}
    )
    async with Stack(settings) as stack:
        filters = ["edgevoice/v1/orin/reply/demo/#", "edgevoice/v1/orin/status"]
        with mqtt_caller(stack, filters=filters) as caller, mqtt_caller(stack, user="operator") as operator:
            caller.publish(caller.request(), {"id": "slow", "text": "Hi", "stream": {"text": True}})
            caller.next(caller.reply_topic("slow") + "/event")
            operator.publish("edgevoice/v1/orin/admin/operator/drain", {"id": "op"})
            assert operator.reply("op")["status"] == "ok"
            assert caller.reply("slow")["text"] == "done"
            assert caller.next("edgevoice/v1/orin/status").payload == b"offline"
