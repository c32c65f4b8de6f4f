"""Holds an answer against what is expected of it: a function for each expectation, which says what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.contract.terms import FinishReason, Status
from agent.evaluation.answer import Answer
from agent.evaluation.expectations import Expectations
from agent.evaluation.words import word_errors, words
from agent.pipeline.guards.loops import Loops


@dataclass(frozen=True)
class Failure:
    """Why an answer is not as expected."""

    expected: str
    """Which property, as a suite names it; `answered` where there is no answer."""
    why: str
    """What is wrong with it."""


def judge(answer: Answer, expected: Expectations) -> Failure | None:
    """The first that is not as expected; None where all is."""
    if expected.error is None and answer.reply.status is not Status.OK:
        return Failure("answered", _ended(answer))
    for name, check in _CHECKS.items():
        if _is_expected(getattr(expected, name)) and (why := check(expected, answer)):
            return Failure(Expectations.model_fields[name].alias or name, why)
    return None


def _error(expected: Expectations, answer: Answer) -> str | None:
    error = answer.reply.error
    return None if error and error.code is expected.error else _ended(answer)


def _heard(expected: Expectations, answer: Answer) -> str | None:
    if missing := _missing(expected.heard, answer.heard, expected):
        return f"{_quoted(missing)} was not understood, but {_quoted([answer.heard])}"
    return None


def _equals(expected: Expectations, answer: Answer) -> str | None:
    same = _folded(answer.text, expected).strip() == _folded(expected.equals or "", expected).strip()
    return None if same else f"it is not {_quoted([expected.equals or ''])}"


def _contains(expected: Expectations, answer: Answer) -> str | None:
    missing = _missing(expected.contains, answer.text, expected)
    return f"{_quoted(missing)} is missing" if missing else None


def _contains_any(expected: Expectations, answer: Answer) -> str | None:
    missing = _missing(expected.contains_any, answer.text, expected)
    return f"all of {_quoted(missing)} are missing" if len(missing) == len(expected.contains_any) else None


def _not_contains(expected: Expectations, answer: Answer) -> str | None:
    missing = _missing(expected.not_contains, answer.text, expected)
    there = [text for text in expected.not_contains if text not in missing]
    return f"{_quoted(there)} is in it" if there else None


def _regex(expected: Expectations, answer: Answer) -> str | None:
    unmatched = [pattern for pattern in expected.regex if not _match(pattern, answer, expected)]
    return f"nothing matches /{unmatched[0]}/" if unmatched else None


def _not_regex(expected: Expectations, answer: Answer) -> str | None:
    matches = [match for pattern in expected.not_regex if (match := _match(pattern, answer, expected))]
    return f"{_quoted([matches[0][0]])} matches /{matches[0].re.pattern}/" if matches else None


def _max_chars(expected: Expectations, answer: Answer) -> str | None:
    return _over(expected.max_chars, len(answer.text), "characters")


def _min_words(expected: Expectations, answer: Answer) -> str | None:
    number = len(answer.text.split())
    return f"{number} words" if number < (expected.min_words or 0) else None


def _max_words(expected: Expectations, answer: Answer) -> str | None:
    return _over(expected.max_words, len(answer.text.split()), "words")


def _json(_: Expectations, answer: Answer) -> str | None:
    try:
        json.loads(answer.text)
    except ValueError as exc:
        return f"it is none: {exc}"
    return None


def _no_loop(_: Expectations, answer: Answer) -> str | None:
    if answer.reply.finish_reason is FinishReason.LOOP:
        return "it was cut off, as it went in a circle"
    loops = Loops()
    loops.feed(answer.text)
    if not loops.is_over:
        loops.end(at_limit=answer.reply.finish_reason is FinishReason.LENGTH)
    return "it goes in a circle" if loops.is_over else None


def _finish_reason(expected: Expectations, answer: Answer) -> str | None:
    reason = answer.reply.finish_reason
    return None if reason is expected.finish_reason else f"it is {reason.value if reason else 'not told'}"


def _max_ms(expected: Expectations, answer: Answer) -> str | None:
    return _over(expected.max_ms, round(answer.elapsed_ms), "ms")


def _spoken(expected: Expectations, answer: Answer) -> str | None:
    if expected.spoken is None:
        return None
    if answer.heard_back is None:
        return "its speech could not be transcribed"
    number, errors = len(words(answer.spoken)), word_errors(answer.spoken, answer.heard_back)
    if errors <= expected.spoken.max_word_errors * number:
        return None
    return f"{errors} word errors in {number} words, understood as {_quoted([answer.heard_back])}"


_CHECKS: Mapping[str, Callable[[Expectations, Answer], str | None]] = {
    "error": _error,
    "heard": _heard,
    "equals": _equals,
    "contains": _contains,
    "contains_any": _contains_any,
    "not_contains": _not_contains,
    "regex": _regex,
    "not_regex": _not_regex,
    "is_json": _json,
    "no_loop": _no_loop,
    "finish_reason": _finish_reason,
    "max_chars": _max_chars,
    "min_words": _min_words,
    "max_words": _max_words,
    "spoken": _spoken,
    "max_ms": _max_ms,
}
"""In the order in which they are looked at: what was said tells more than how long it took."""


def _is_expected(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _ended(answer: Answer) -> str:
    error = answer.reply.error
    return f"{error.code.value}: {error.message}" if error else f"it is {answer.reply.status.value}"


def _missing(texts: tuple[str, ...], where: str, expected: Expectations) -> list[str]:
    place = _folded(where, expected)
    return [text for text in texts if _folded(text, expected) not in place]


def _folded(text: str, expected: Expectations) -> str:
    return text if expected.match_case else text.casefold()


def _match(pattern: str, answer: Answer, expected: Expectations) -> re.Match[str] | None:
    return re.search(pattern, answer.text, 0 if expected.match_case else re.IGNORECASE)


def _over(limit: int | None, actual: int, unit: str) -> str | None:
    return f"{actual:,} {unit}, not {limit:,}" if limit is not None and actual > limit else None


def _quoted(texts: list[str]) -> str:
    return ", ".join(f"“{text}”" for text in texts)
