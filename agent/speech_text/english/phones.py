"""Telephone numbers in English: digit by digit, in their groups."""

from __future__ import annotations

import re

from agent.speech_text.english.numbers import spelled

_PHONE = re.compile(
    r"(?<![\w.$€£-])(?:"
    r"(?:\+?1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
    r"|\+[0-9]{1,3}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,6}"
    r"|555-[0-9]{4}"
    r"|0[0-9]{2,4}[ /-][0-9]{3,8}(?:[ -][0-9]{2,6})?"
    r")(?![\w-]|[.,:][0-9])"
)
_SHORT = re.compile(r"(?i:\b(call|dial|text|ring|phone)\s)([0-9]{3,6})(?![\w.,:/%-])")
_GROUP = re.compile("[0-9]+")


def said_phones(text: str) -> str:
    """`text` in which they are words."""
    said = _PHONE.sub(_phone, text)
    return _SHORT.sub(lambda found: f"{found[1]} {spelled(found[2])}", said)


def _phone(found: re.Match[str]) -> str:
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(spelled(group) for group in _GROUP.findall(found[0]))
