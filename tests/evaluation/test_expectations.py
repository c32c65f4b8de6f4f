"""Each expectation passes what it should, refuses what it should, and says why."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.errors import ErrorCode
from agent.contract.terms import FinishReason
from agent.evaluation.answer import Answer
from agent.evaluation.expectations import Expectations
from agent.evaluation.judge import judge
from tests.evaluation.answers import answer

PARIS = answer("The capital of France is Paris.")
LOOP = "I am here to help you with that. " * 12
CASES: list[tuple[dict[str, Any], Answer, Answer, str]] = [
    ({"contains": "paris"}, PARIS, answer("Lyon."), "“paris” is missing"),
    ({"contains": ["france", "paris"]}, PARIS, answer("Paris."), "“france” is missing"),
    ({"contains": "Paris", "match_case": True}, PARIS, answer("paris"), "“Paris” is missing"),
    ({"contains_any": ["Rome", "Paris"]}, PARIS, answer("Lyon."), "all of “Rome”, “Paris” are missing"),
    ({"not_contains": ["Rome", "Lyon"]}, PARIS, answer("In Lyon?"), "“Lyon” is in it"),
    ({"equals": "paris"}, answer(" Paris\n"), PARIS, "it is not “paris”"),
    ({"equals": "Paris", "match_case": True}, answer("Paris"), answer("paris"), "it is not “Paris”"),
    ({"regex": r"\bparis\b"}, PARIS, answer("Parisian"), r"nothing matches /\bparis\b/"),
    ({"regex": ["is", "^the"]}, PARIS, answer("Paris is."), "nothing matches /^the/"),
    ({"not_regex": r"\d+"}, PARIS, answer("In 1999?"), r"“1999” matches /\d+/"),
    ({"max_chars": 31}, PARIS, answer("a" * 32), "32 characters, not 31"),
    ({"max_chars": 0}, answer(""), answer("a"), "1 characters, not 0"),
    ({"min_words": 6}, PARIS, answer("Paris."), "1 words"),
    ({"max_words": 6}, PARIS, answer("a b c d e f g"), "7 words, not 6"),
    ({"json": True}, answer('{"city": "Paris"}'), PARIS, "it is none: Expecting value: line 1 column 1 (char 0)"),
    ({"no_loop": True}, PARIS, answer(LOOP), "it goes in a circle"),
    (
        {"no_loop": True},
        PARIS,
        answer("Paris.", finish_reason=FinishReason.LOOP),
        "it was cut off, as it went in a circle",
    ),
    ({"finish_reason": "stop"}, PARIS, answer("a", finish_reason=FinishReason.LENGTH), "it is length"),
    ({"max_ms": 100}, PARIS, answer("a", elapsed_ms=1_234.4), "1,234 ms, not 100"),
    (
        {"heard": "kitchen"},
        answer("Done.", heard="Light in the kitchen"),
        answer("Done.", heard="light in the chicken"),
        "“kitchen” was not understood, but “light in the chicken”",
    ),
    (
        {"spoken": {"max_word_errors": 0.25}},
        answer("It is 7.", speech_text="It is seven.", heard_back="it is seven"),
        answer("It is seven.", heard_back="it was seven"),
        "1 word errors in 3 words, understood as “it was seven”",
    ),
    (
        {"spoken": {"max_word_errors": 9}},
        answer("It is.", heard_back=""),
        answer("It is."),
        "its speech could not be transcribed",
    ),
    ({"error": "busy"}, answer(error=ErrorCode.BUSY), answer(error=ErrorCode.INTERNAL), "internal: no"),
    ({"error": "busy"}, answer("so far", error=ErrorCode.BUSY), PARIS, "it is ok"),
]


def expectations(fields):
    return Expectations.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize(("fields", "good", "bad", "why"), CASES)
def test_an_answer_is_as_expected_or_not(fields, good, bad, why):
    expected = expectations(fields)
    assert judge(good, expected) is None
    failure = judge(bad, expected)
    assert failure
    assert failure.expected == next(iter(fields))
    assert failure.why == why


def test_every_expectation_has_a_case():
    tried = {name for fields, *_ in CASES for name in fields}
    assert {field.alias or name for name, field in Expectations.model_fields.items()} == tried


def test_an_answer_that_did_not_come_is_none():
    failure = judge(answer("so far", error=ErrorCode.LLM_FAILED), Expectations())
    assert failure
    assert (failure.expected, failure.why) == ("answered", "llm_failed: no")


def test_what_is_false_is_not_expected():
    assert judge(answer(LOOP), expectations({"json": False, "no_loop": False})) is None


def test_what_a_question_says_goes_over_what_the_suite_does():
    suite = expectations({"max_words": 3, "no_loop": True, "contains": "a"})
    merged = expectations({"max_words": 9, "no_loop": False}).over(suite)
    assert (merged.max_words, merged.no_loop, merged.contains) == (9, False, ("a",))
    assert Expectations().over(merged) == merged


@given(st.text(), st.text(min_size=1), st.text())
def test_what_is_in_it_is_found_whatever_the_case(before, wanted, behind):
    there = answer((before + wanted + behind).upper())
    assert judge(there, expectations({"contains": wanted.upper()})) is None
    assert judge(there, expectations({"not_contains": wanted.upper()}))
    assert judge(there, expectations({"match_case": True, "regex": re.escape(wanted.upper())})) is None


@given(st.lists(st.text("ab", min_size=1), max_size=30), st.integers(0, 30))
def test_bounds_are_kept_to_the_word(said, bound):
    unmet = [judge(answer(" ".join(said)), expectations({name: bound})) for name in ("min_words", "max_words")]
    assert [failure is None for failure in unmet] == [len(said) >= bound, len(said) <= bound]


@given(st.text())
def test_an_answer_equals_itself(text):
    assert judge(answer(text), expectations({"equals": text, "match_case": True})) is None
