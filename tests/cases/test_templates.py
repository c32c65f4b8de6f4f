"""Prompt templates through the whole stack: over MQTT 5, MQTT 3.1.1 and HTTP, in conversations, after a restart."""

import json
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.settings import ChatSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import http_caller, mqtt_caller

pytestmark = pytest.mark.once

SYSTEM = ChatSettings().system
SEED = {
    "config": {"temperature": "1.0", "top_p": "0.95", "max_tokens": "256"},
    "system": "",
    "user": "",
    "template": "{system}{user}",
}
BRIEF = {"config": {"temperature": "0.5"}, "city": None, "template": "In {city}: {user}"}
TOPIC = "edgevoice/v1/orin/template"


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A model that says all it was asked, and one that says a raw question."""
    llm = EngineSettings(name="scripted", options={"answer": "{asked}"})
    models = {"parrot": {"name": "scripted", "options": {"answer": "{text}"}}}
    environment = {"EDGEVOICE_MODELS": json.dumps(models)}
    settings = StackSettings.scripted(
        llm=llm, users=("other",), operators=("operator", "bridge"), environment=environment
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture
def name():
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture(params=["mqtt5", "mqtt311", "http"])
def operate(request, stack):
    """Makes an operator's call about templates, over each way in: its result, or its error."""
    if request.param == "http":
        with http_caller(stack) as http:
            yield lambda operation, **fields: over_http(http.client, operation, **fields)
        return
    with mqtt_caller(stack, request.param, user="operator") as caller:
        yield lambda operation, **fields: over_mqtt(caller, operation, **fields)


def over_mqtt(caller, operation, **fields):
    call_id = uuid.uuid4().hex
    caller.publish(f"{caller.base}/admin/{caller.user}/templates.{operation}", {"id": call_id, **fields})
    reply = caller.reply(call_id)
    return reply.get("result") or reply


def over_http(client, operation, *, name="", version=None, template=None, **given):
    path = f"/v1/templates/{name}" if name else "/v1/templates"
    match operation:
        case "list" | "get":
            response = client.get(path, params={"version": version} if version is not None else None)
        case "put":
            response = client.put(path, json=template)
        case "delete":
            response = client.delete(path)
        case _:
            response = client.post(f"{path}/{operation}", json=given)
    body = response.json()
    return body if response.status_code == 200 else {"error": {**body, "message": body["detail"]}}


@pytest.fixture
def brief(stack, name):
    """A template that is there."""
    with mqtt_caller(stack, user="operator") as operator:
        over_mqtt(operator, "put", name=name, template=BRIEF)
    return name


def test_one_is_saved_read_changed_and_taken_away(operate, name):
    """Rows 3.4, 3.17"""
    told = operate("put", name=f"{name}.json", template=SEED)
    assert (told["name"], told["version"], told["needs"]) == (name, 1, [])
    assert operate("put", name=name, template=BRIEF)["versions"] == [1, 2]
    assert operate("get", name=name)["template"] == {**BRIEF, "config": {"temperature": 0.5}}
    assert operate("get", name=name, version=1)["template"]["template"] == SEED["template"]
    assert {"name": name, "needs": ["city"]}.items() <= next(
        each for each in operate("list")["templates"] if each["name"] == name
    ).items()
    assert "template" not in operate("delete", name=name)
    assert operate("get", name=name)["error"]["code"] == "not_found"
    assert operate("undo", name=name)["version"] == 2
    assert operate("undo", name=name)["version"] == 1
    assert operate("undo", name=name)["versions"] == []
    assert operate("undo", name=name)["error"]["code"] == "not_found"


def test_one_is_rendered(operate, brief):
    """Row 3.10"""
    given = {"text": "Hi", "vars": {"city": "Bern"}}
    assert operate("render", name=brief, **given) == {
        "prompt": "In Bern: Hi",
        "config": {"temperature": 0.5, "stop": []},
    }
    assert operate("render", name=brief, text="Hi")["error"]["missing_keys"] == ["city"]


def test_one_that_comes_with_the_call_is_rendered(stack):
    template = {**SEED, "system": "Be kind. ", "user": "Hi"}
    with mqtt_caller(stack, user="operator") as operator:
        assert over_mqtt(operator, "render", template=template)["prompt"] == "Be kind. Hi"
        assert over_mqtt(operator, "render", template=template, text="Ho")["prompt"] == "Be kind. Ho"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ({"template": "{user}{city}", "town": "x"}, {"missing_keys": ["city"], "unused_keys": ["town"]}),
        ({"template": "Hello"}, {"missing_keys": ["user"]}),
        ({"template": "{user} {a.__class__}", "a": "x"}, {"field": "template"}),
        ({"template": "{user} }"}, {"field": "template"}),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_not_saved(operate, name, template, named):
    """Rows 3.7, 3.15"""
    error = operate("put", name=name, template=template)["error"]
    assert error["code"] == "template_invalid"
    assert {key: error[key] for key in named} == named
    assert operate("get", name=name)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("operation", "fields", "field"),
    [
        ("get", {}, "name"),
        ("put", {"name": "x"}, "template"),
        ("put", {"name": "a/b", "template": SEED}, "name"),
        ("put", {"name": "x", "template": {"template": "{user}", "config": {"top_p": "2"}}}, "template.config.top_p"),
        ("get", {"name": "home", "version": 7}, "version"),
        ("undo", {"name": "home"}, "name"),
        ("render", {"text": "Hi"}, "name"),
    ],
    ids=str,
)
def test_a_call_that_is_none_names_its_fault(stack, operation, fields, field):
    """Rows 3.4, 3.5, 3.6"""
    with mqtt_caller(stack, user="operator") as operator:
        assert over_mqtt(operator, operation, **fields)["error"]["field"] == field


def test_a_question_goes_into_its_template(caller, brief):
    given = {"template": brief, "vars": {"city": "Bern"}}
    assert caller.ask(text="Hi", **given)["text"] == f"{SYSTEM} / In Bern: Hi"
    assert caller.ask(text="Hi", **given, mode="raw", model="parrot")["text"] == "In Bern: Hi"


def test_what_is_missing_or_too_much_is_named_at_use(caller, brief):
    """Row 3.15"""
    error = caller.ask(text="Hi", template=brief, vars={"town": "Thun"})["error"]
    assert (error["code"], error["missing_keys"], error["unused_keys"]) == ("template_invalid", ["city"], ["town"])
    error = caller.ask(text="Hi", template="nothing")["error"]
    assert (error["code"], error["field"]) == ("not_found", "template")
    assert "translate" in error["message"]


@pytest.mark.parametrize("given", [{"template": "plain"}, {"vars": {"city": "Bern"}}])
def test_a_conversation_that_is_sent_goes_into_no_template(caller, given):
    error = caller.ask(messages=[{"role": "user", "content": "Hi"}], **given)["error"]
    assert (error["code"], error["field"]) == ("bad_request", *given)


def test_within_a_conversation_what_was_said_is_remembered_and_not_its_prompt(caller, brief, name):
    """Row 3.14"""
    session = f"s-{name}-{caller.name}"
    given = {"template": brief, "vars": {"city": "Bern"}, "session_id": session}
    first = caller.ask(text="One", **given)["text"]
    assert first == f"{SYSTEM} / In Bern: One"
    assert caller.ask(text="Two", **given)["text"] == f"{SYSTEM} / One / In Bern: Two"
    assert caller.ask(text="Three", session_id=session)["text"] == f"{SYSTEM} / One / Two / Three"


def test_a_conversation_has_a_template_of_its_own(stack, brief, name):
    """Row 3.14"""
    with http_caller(stack) as http:
        http.client.put(f"/v1/sessions/{name}/config", json={"template": brief})
        assert http.ask(text="Hi", session_id=name, vars={"city": "Bern"})["text"] == f"{SYSTEM} / In Bern: Hi"
        said = http.client.get(f"/v1/sessions/{name}").json()["messages"]
        assert said[0]["content"] == "Hi"


@pytest.mark.parametrize("version", ["mqtt5", "mqtt311"])
def test_any_device_sees_which_there_are_and_none_may_change_them(stack, brief, version):
    filters = [f"{TOPIC}/+", "edgevoice/v1/orin/reply/other/#"]
    with (
        mqtt_caller(stack, version, user="other", filters=filters) as device,
        mqtt_caller(stack, user="operator") as operator,
    ):
        assert json.loads(device.next(f"{TOPIC}/{brief}").payload)["template"] == BRIEF["template"]
        device.publish(f"{TOPIC}/{brief}", b"", retain=True)
        device.publish(f"{device.base}/admin/other/templates.delete", {"name": brief})
        device.publish(f"{device.base}/admin/operator/templates.delete", {"name": brief})
        assert over_mqtt(operator, "put", name=brief, template=SEED)["versions"] == [1, 2]
        assert json.loads(device.next(f"{TOPIC}/{brief}").payload)["template"] == SEED["template"]
        over_mqtt(operator, "delete", name=brief)
        assert device.next(f"{TOPIC}/{brief}").payload == b""


def test_a_prompt_file_is_asked_as_it_is(stack):
    """Rows 3.5, 3.10"""
    with http_caller(stack) as http:
        told = http.client.post("/prompt", json={**SEED, "user": "Hi"}, params={"mode": "chat"}).json()
        assert told["text"] == f"{SYSTEM} / Hi"
        error = http.client.post("/prompt", json={**SEED, "user": "Hi", "town": "Thun"}).json()
        assert (error["status"], error["unused_keys"]) == (400, ["town"])


@pytest.mark.anyio
async def test_they_survive_a_restart_and_what_the_broker_kept_in_error_is_ended():
    settings = StackSettings.scripted(operators=("operator", "agent"), parts=(Part.BROKER, Part.AGENT))
    async with Stack(settings) as stack:
        with mqtt_caller(stack, user="operator") as operator:
            over_mqtt(operator, "put", name="brief", template=BRIEF)
            over_mqtt(operator, "delete", name="home")
        await stack.kill(Part.AGENT)
        with mqtt_caller(stack, user="agent", filters=[f"{TOPIC}/+"]) as before:
            before.publish(f"{TOPIC}/old", json.dumps(SEED), retain=True)
            before.publish(f"{TOPIC}/brief", b"", retain=True)
        await stack.start(Part.AGENT)
        with mqtt_caller(stack, user="operator", filters=[f"{TOPIC}/+", stack.topics.all_replies("operator")]) as after:
            over_mqtt(after, "put", name="last", template=SEED)
            found = {each["name"] for each in over_mqtt(after, "list")["templates"]}
            assert {"brief", "translate", "last"} <= found
            assert "home" not in found
            assert over_mqtt(after, "undo", name="home")["version"] == 0
        with mqtt_caller(stack, filters=[f"{TOPIC}/+"]) as device:
            seen = {device.next().topic.removeprefix(f"{TOPIC}/") for _ in range(len(found) + 1)}
            assert seen == found | {"home"}
