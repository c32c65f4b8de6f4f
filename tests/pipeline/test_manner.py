"""What a request leaves open is filled in by what it names, and by the conversation that it belongs to."""

from __future__ import annotations

import pytest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message, Request, Sampling
from agent.contract.personas import Persona
from agent.contract.sessions import SessionConfig
from agent.contract.templates import Template
from agent.contract.terms import Role
from agent.pipeline.manner import Manners

BRIEF = b'{"config":{"temperature":1,"top_p":"0.5"},"city":null,"template":"{city}: {user}"}'
TEMPLATES = {"brief": Template.decode(BRIEF)}
NURSE = Persona(system="Be a nurse.", voice="slt", params=Sampling(temperature=0.5, seed=1))
MANNERS = Manners({"nurse": NURSE, "clown": Persona(system="Be a clown.", template="brief")}, TEMPLATES.__getitem__)


def refused(request: Request, config: SessionConfig | None = None, manners: Manners = MANNERS) -> ContractError:
    with pytest.raises(ContractError) as caught:
        manners.of(request, config)
    return caught.value


def test_a_request_that_names_nothing_is_as_it_is():
    request = Request(text="Hi", params=Sampling(temperature=0))
    manner = MANNERS.of(request)
    assert (manner.request, manner.prompt("Hi")) == (request, "Hi")


def test_the_request_goes_first_then_the_conversation_then_its_persona_then_the_template():
    config = SessionConfig(persona="nurse", template="brief", params=Sampling(seed=2, max_tokens=9))
    manner = MANNERS.of(Request(text="Hi", vars={"city": "Bern"}, params=Sampling(max_tokens=5)), config)
    assert manner.request.params == Sampling(max_tokens=5, seed=2, temperature=0.5, top_p=0.5)
    assert (manner.request.system, manner.request.tts.voice) == ("Be a nurse.", "slt")
    assert manner.prompt("Hi") == "Bern: Hi"


def test_a_persona_that_a_request_names_goes_before_its_conversation():
    config = SessionConfig(system="Be brief.", params=Sampling(temperature=0))
    assert MANNERS.of(Request(text="Hi"), config).request.system == "Be brief."
    named = MANNERS.of(Request(text="Hi", persona="nurse"), config).request
    assert (named.system, named.params.temperature) == ("Be a nurse.", 0.5)
    assert MANNERS.of(Request(text="Hi", persona="nurse", system="Mine."), config).request.system == "Mine."


def test_a_persona_brings_its_template():
    manner = MANNERS.of(Request(text="Hi", persona="clown", vars={"city": "Bern"}))
    assert manner.prompt("Hi") == "Bern: Hi"


def test_a_template_is_passed_over_where_no_question_goes_into_it():
    """What a persona says beside it holds: its voice for `speak`, its instruction for a conversation that is sent."""
    said = MANNERS.of(Request(text="Hi", persona="clown"), asks_model=False)
    told = MANNERS.of(Request(messages=[Message(role=Role.USER, content="Hi")], persona="clown"))
    assert (said.template, told.template) == (None, None)
    assert (said.request.system, told.request.system) == ("Be a clown.", "Be a clown.")


def test_what_is_not_there_is_named():
    error = refused(Request(text="Hi", persona="doctor"))
    assert (error.code, error.field) == (ErrorCode.NOT_FOUND, "persona")
    assert "nurse, clown" in error.message
    error = refused(Request(text="Hi", template="brief"), manners=Manners())
    assert (error.code, error.field) == (ErrorCode.NOT_FOUND, "template")
    assert refused(Request(text="Hi", template="brief")).missing_keys == ("city",)
    assert refused(Request(text="Hi", vars={"city": "Bern"})).field == "vars"
