"""The shipped templates: each is valid, and asks what its name says."""

import pytest

from agent.contract.catalogue import Rendered
from agent.contract.templates import Template
from agent.contract.terms import is_id
from agent.templates.shipped import shipped

SHIPPED = shipped()
GIVEN = {"translate": {"to": "German"}, "extract": {"fields": "name, city"}}


def prompt(name, question="It rains in Bern.", **given):
    return SHIPPED[name].render(question, given)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_valid_and_holds_the_question(name):
    template = SHIPPED[name]
    template.check()
    assert is_id(name)
    assert set(template.needs) == set(GIVEN.get(name, ()))
    assert "It rains in Bern." in prompt(name, **GIVEN.get(name, {}))
    assert template.config.max_tokens, "a model that does not end costs somebody's time"
    assert Template.decode(template.encode()) == template


def test_the_plain_one_is_what_prompt_files_begin_as():
    """Rows 3.4, 3.5"""
    rendered = Rendered.of(SHIPPED["plain"], "Hi", {"system": "Be kind. "})
    assert rendered.prompt == "Be kind. Hi"
    assert (rendered.config.temperature, rendered.config.top_p, rendered.config.max_tokens) == (1.0, 0.95, 256)


def test_what_is_to_be_filled_in_is():
    assert "into German" in prompt("translate", to="German")
    assert "in three sentences" in prompt("summarize")
    assert "in one sentence" in prompt("summarize", length="one sentence")
    extract = prompt("extract", fields="name, city")
    assert "name, city" in extract
    assert '{"key": "value", "other": null}' in extract
    assert extract.endswith("JSON:")


@pytest.mark.parametrize("name", ["alpaca", "completion"])
def test_what_is_for_models_as_they_are_ends_where_the_answer_begins(name):
    """Row 3.13"""
    question, answer = prompt(name).split("It rains in Bern.")
    assert answer.strip() in {"### Response:", "Answer:"}
    assert question.strip() in {stop.strip() for stop in SHIPPED[name].config.stop}
