"""What small models do, as callers see it: they go on in the user's name, and they hold little."""

import json
import subprocess
from typing import Any

import openai
import pytest

from agent.stack import Part, Stack, StackSettings
from tests.callers import http_caller, mqtt_caller

pytestmark = pytest.mark.once

HI: Any = [{"role": "user", "content": "Hello, how are you?"}]
RAMBLES = "user: How are you?\nuser: I'm fine.\nuser: How are"
MODELS = {
    "gemma-2b": {"name": "scripted", "options": {"answer": RAMBLES}},
    "forgetful": {"name": "scripted", "options": {"window": 48}, "max_tokens": 8},
}


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    environment = {"EDGEVOICE_MODELS": json.dumps(MODELS), "EDGEVOICE_CHAT__GUARDS__ROLE_MARKERS": "true"}
    async with Stack(StackSettings.scripted(environment=environment)) as running:
        yield running


@pytest.fixture
def client(stack):
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("way", ["mqtt5", "mqtt311", "http"])
def test_what_it_says_in_the_users_name_is_not_passed_on(stack, way):
    opened = http_caller(stack) if way == "http" else mqtt_caller(stack, way)
    with opened as caller:
        reply = caller.ask(text="Hello, how are you?", model="gemma-2b")
    assert (reply["text"], reply["finish_reason"]) == ("How are you?", "stop")


def test_nor_in_a_stream(client):
    chunks = client.chat.completions.create(model="gemma-2b", messages=HI, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).rstrip() == "How are you?"


def test_nor_by_curl_in_an_array(stack):
    body = json.dumps({"model": "gemma-2b", "messages": HI})
    asks = ["curl", "-s", f"{stack.url}/chat/completions?format=messages", "-H", "Content-Type: application/json"]
    done = subprocess.run([*asks, "-d", body], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [{"role": "assistant", "content": "How are you?"}]


def conversation(turns: int) -> Any:
    said = [{"role": role, "content": f"Number {turn}"} for turn in range(turns) for role in ("user", "assistant")]
    return [*said, *HI]


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_is_too_long_is_refused_as_openai_does(stack, client, stream):
    log = stack.log(Part.AGENT)
    before = log.stat().st_size
    asked: Any = {"messages": conversation(12), "stream": stream, "extra_body": {"on_overflow": "error"}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="forgetful", **asked)
    assert caught.value.body == {
        "message": "This model's maximum context length is 48 tokens. However, you requested 69 tokens."
        " Please reduce the length of the messages or completion.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    client.chat.completions.create(model="gemma-2b", messages=HI)  # by now, what came of the first one is logged
    told = log.read_bytes()[before:].decode()
    [line] = [line for line in told.splitlines() if "context_length_exceeded" in line]
    assert str(caught.value.request_id) in line
    assert "Traceback" not in told


def test_otherwise_its_oldest_turns_are_left_out(client):
    answer = client.chat.completions.create(model="forgetful", messages=conversation(12))
    assert answer.choices[0].message.content == "You said: Hello, how are you?"
    assert answer.usage.prompt_tokens < 48


def test_one_message_that_is_too_long_is_refused_in_any_case(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="forgetful", messages=[{"role": "user", "content": "word " * 60}])
    assert caught.value.code == "context_length_exceeded"
    assert "48 tokens" in caught.value.message
