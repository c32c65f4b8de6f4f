"""Personas and layers of sampling: who answers, as request, conversation, persona, model and operator have it."""

import json

import pytest

from agent.engines.settings import EngineSettings
from agent.settings import ChatSettings
from agent.stack import Stack, StackSettings
from tests.callers import mqtt_caller
from tests.cases.test_sessions import call

pytestmark = pytest.mark.once

OPERATORS = ChatSettings().system
HAPPY = "Show as much happiness as you can."
SAD = "Show as much sadness as you can."
COUNT = "one two three four five six"
MODELS = {
    "terse": {"name": "scripted", "options": {"answer": COUNT}, "max_tokens": 4, "stop": ["four"]},
    "brief": {"name": "scripted", "options": {"answer": COUNT}},
    "parrot": {"name": "scripted", "options": {"answer": "{text}"}, "max_tokens": 64},
}
PERSONAS = {
    "happy": {"system": HAPPY},
    "sad": {"system": SAD, "params": {"max_tokens": 64}},
    "curt": {"model": "brief", "params": {"max_tokens": 2}},
}


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A model that says all it was asked, two that count, and three personas."""
    environment = {
        "EDGEVOICE_MODELS": json.dumps(MODELS),
        "EDGEVOICE_PERSONAS": json.dumps(PERSONAS),
        "EDGEVOICE_CHAT__MAX_TOKENS": "5",
        "EDGEVOICE_LLM__MAX_TOKENS": "64",
    }
    llm = EngineSettings(name="scripted", options={"answer": "{asked}"})
    async with Stack(StackSettings.scripted(llm=llm, environment=environment)) as running:
        yield running


def test_a_persona_answers_and_another_after_a_reset(caller, session_id):
    """Rows 4.12, 4.14, 4.16"""
    call(caller, op="config", session_id=session_id, config={"persona": "happy"})
    question = {"text": "What is one plus one?", "session_id": session_id}
    assert caller.ask(**question)["text"] == f"{HAPPY} / What is one plus one?"
    call(caller, op="reset", session_id=session_id, config={"persona": "sad"})
    assert caller.ask(**question)["text"] == f"{SAD} / What is one plus one?"


def test_who_answers_may_change_in_the_middle_and_what_was_said_stays(caller, session_id):
    caller.ask(text="One", session_id=session_id)
    call(caller, op="config", session_id=session_id, config={"persona": "happy"})
    assert caller.ask(text="Two", session_id=session_id)["text"] == f"{HAPPY} / One / Two"
    assert caller.ask(text="Three", session_id=session_id, persona="sad")["text"] == f"{SAD} / One / Two / Three"
    assert caller.ask(text="Four", session_id=session_id)["text"] == f"{HAPPY} / One / Two / Three / Four"


def test_the_nearest_layer_wins_and_says_only_what_it_says(caller, session_id):
    """Rows 4.13, 4.15: operator < model < persona < conversation < request"""
    assert caller.ask(text="Count", model="brief")["text"] == "one two three four five"
    assert caller.ask(text="Count", model="terse")["text"] == "one two three"
    assert caller.ask(text="Count", model="terse", params={"max_tokens": 6})["text"] == "one two three"
    assert caller.ask(text="Count", persona="curt")["text"] == "one two"
    config = {"persona": "curt", "params": {"max_tokens": 4}}
    call(caller, op="config", session_id=session_id, config=config)
    assert caller.ask(text="Count", session_id=session_id)["text"] == "one two three four"
    asked = {"text": "Count", "session_id": session_id, "params": {"stop": ["two"]}}
    assert caller.ask(**asked)["text"] == "one"
    assert caller.ask(**asked, system="Mine.", model="default")["text"] == "Mine. / Count /"


def test_without_any_the_operator_has_his_say(caller):
    assert caller.ask(text="Hi")["text"] == f"{OPERATORS} / Hi"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"persona": "nobody", "mood": "good"}, "config.mood"),
        ({"params": {"mean_gen_len": 7}}, "config.params.mean_gen_len"),
        ({"params": {"temperature": 3}}, "config.params.temperature"),
    ],
)
def test_an_unknown_field_is_named(stack, config, field):
    """Row 4.15"""
    with mqtt_caller(stack) as caller:
        error = call(caller, op="config", session_id="mine", config=config)["error"]
    assert (error["code"], error["field"]) == ("bad_request", field)


def test_a_persona_that_is_not_there_is_named(caller, session_id):
    error = caller.ask(text="Hi", persona="nobody")["error"]
    assert (error["code"], error["field"]) == ("not_found", "persona")
    call(caller, op="config", session_id=session_id, config={"persona": "nobody"})
    assert caller.ask(text="Hi", session_id=session_id)["error"]["field"] == "persona"


def test_raw_text_reaches_the_model_as_it_is_ends_where_told_and_is_not_remembered(caller, session_id):
    """Rows 4.17, 4.18, 4.19"""
    raw = {"mode": "raw", "model": "parrot", "session_id": session_id}
    prompt = "[INST] <<SYS>>\nBe honest.\n<</SYS>>\n\n What  is\tit? [/INST]"
    assert caller.ask(text=prompt, **raw)["text"] == prompt
    assert caller.ask(text="Life is [INST] more", **raw, params={"stop": ["[INST]"]})["text"] == "Life is"
    assert caller.ask(text="Life was", **raw)["usage"]["prompt_tokens"] == 2
    assert call(caller, op="get", session_id=session_id)["error"]["code"] == "not_found"
