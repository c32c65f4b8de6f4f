"""Prompt templates: what is read, what is refused and how, and what comes out."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_TEMPLATE_CHARS, MAX_TEMPLATE_KEYS
from agent.contract.templates import Template

SEED = (
    b'{"config":{"temperature":"1.0","top_p":"0.95","max_tokens":"256"},'
    b'"system":"","user":"","template":"{system}{user}"}'
)


def template(prompt: str, **keys: object) -> Template:
    return Template.decode(json.dumps({"template": prompt, **keys}).encode())


def refused(prompt: str, given: dict[str, str] | None = None, **keys: object) -> ContractError:
    with pytest.raises(ContractError) as caught:
        template(prompt, **keys).render("Hi", given or {})
    return caught.value


def test_the_form_that_prompt_files_have_always_had_is_read_as_it_is():
    """Row 3.5"""
    read = Template.decode(SEED)
    read.check()
    assert (read.config.temperature, read.config.top_p, read.config.max_tokens) == (1.0, 0.95, 256)
    assert read.render("Hi", {"system": "Be kind. "}) == "Be kind. Hi"
    assert Template.decode(read.encode()) == read


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"temperature": "9"}, "config.temperature"),
        ({"temperature": "warm"}, "config.temperature"),
        ({"temperature": True}, "config.temperature"),
        ({"temperature": "1e3"}, "config.temperature"),
        ({"temperature": "NaN"}, "config.temperature"),
        ({"max_tokens": "2.5"}, "config.max_tokens"),
        ({"max_tokens": "-1"}, "config.max_tokens"),
        ({"max_tokens": "9" * 400}, "config.max_tokens"),
        ({"best_of": 2}, "config.best_of"),
        ({"stop": [""]}, "config.stop.0"),
        ([], "config"),
        ("warm", "config"),
    ],
)
def test_what_is_no_number_or_out_of_range_is_named(config, fault):
    """Rows 3.5, 3.6"""
    error = refused("{user}", config=config)
    assert (error.code, error.field) == (ErrorCode.BAD_REQUEST, fault)


def test_numbers_may_be_numbers_and_a_stop_string_may_stand_alone():
    read = template("{user}", config={"temperature": 0, "seed": "7", "presence_penalty": "-1", "stop": "User:"})
    assert read.config.model_dump(exclude_none=True) == {
        "temperature": 0,
        "seed": 7,
        "presence_penalty": -1,
        "stop": ("User:",),
    }


def test_each_key_goes_to_its_places():
    """Rows 3.7, 3.8"""
    read = template("{a}{user}{b-2}{a}", a="1", **{"b-2": "2"})
    assert read.render("Hi", {}) == "1Hi21"
    assert read.render("Hi", {"a": "x"}) == "xHi2x"
    assert read.places == ["a", "user", "b-2"]


def test_what_goes_in_is_not_looked_into():
    """Row 3.7"""
    read = template("{a}: {user}", a="{user} {b} }} {{")
    assert read.render("{a}{{", {}) == "{user} {b} }} {{: {a}{{"


def test_a_brace_is_written_twice():
    assert template('{{"q": "{user}"}} {{{user}}} }}{{').render("Hi", {}) == '{"q": "Hi"} {Hi} }{'


@pytest.mark.parametrize(
    "prompt",
    ["{a.__class__}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}", "{ a }", "{", "}", "{{}", "{a", "a}", "{é}", "{a\n}"],
)
def test_nothing_clever_is_done(prompt):
    """Row 3.7"""
    error = refused(f"{{user}} {prompt}", a="1")
    assert error.code is ErrorCode.TEMPLATE_INVALID
    assert "at character" in error.message


def test_all_keys_are_named_that_miss_or_are_too_many():
    """Row 3.15"""
    error = refused("{user} {city} {day}", town="Bern", hour="5")
    assert (error.code, error.missing_keys, error.unused_keys) == (
        ErrorCode.TEMPLATE_INVALID,
        ("city", "day"),
        ("town", "hour"),
    )
    assert all(name in error.message for name in ("city", "day", "town", "hour"))
    error = refused("Hello")
    assert error.missing_keys == ("user",)
    assert "{user}" in error.message


def test_a_key_without_a_value_is_to_be_given():
    """Row 3.15, at use"""
    read = template("{user} in {city}", city=None)
    read.check()
    assert read.render("Hi", {"city": "Bern"}) == "Hi in Bern"
    assert Template.decode(read.encode()) == read
    assert refused("{user} in {city}", city=None).missing_keys == ("city",)
    error = refused("{user} in {city}", {"town": "Thun", "user": "me"}, city=None)
    assert (error.missing_keys, error.unused_keys) == (("city",), ("town", "user"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"template": 7},
        {"template": "{user}\0"},
        {"template": "x" * (MAX_TEMPLATE_CHARS + 1)},
        {"template": "{user}", "a": 7},
        {"template": "{user}", "a": {"b": 1}},
        {"template": "{user}", "a": "\0"},
        {"template": "{user}", **{f"k{number}": "" for number in range(MAX_TEMPLATE_KEYS + 1)}},
    ],
)
def test_what_is_no_template_is_a_bad_request(fields):
    with pytest.raises(ContractError) as caught:
        Template.decode(json.dumps(fields).encode())
    assert caught.value.code is ErrorCode.BAD_REQUEST


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=8), max_size=4))
@example("{user}{values}{places}", {"values": "1", "places": "2"})
@example("{user}{copy}", {"copy": "{user}"})
def test_every_prompt_is_rendered_or_refused(prompt, keys):
    keys = {name: value for name, value in keys.items() if name not in {"template", "config"}}
    with suppress(ContractError):
        read = template(prompt, **keys)
        rendered = read.render("\u2603", {})
        assert "\u2603" in rendered
        assert Template.decode(read.encode()).render("\u2603", {}) == rendered


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_goes_in_comes_out(question, value):
    assert template("<{a}|{user}>", a=None).render(question, {"a": value}) == f"<{value}|{question}>"
