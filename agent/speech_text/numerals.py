"""Whole numbers in words: the one place that knows num2words."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

LONGEST = 15
"""Digits of the longest number that is said as one."""


def cardinal(number: int, language: str) -> str:
    """As in "forty-two"; `number` has at most LONGEST digits."""
    return _said(number, "cardinal", language)


def ordinal(number: int, language: str) -> str:
    """As in "forty-second"."""
    return _said(number, "ordinal", language)


def year(number: int, language: str) -> str:
    """As in "nineteen eighty-four"."""
    return _said(number, "year", language)


def each(digits: str, language: str) -> str:
    """Digit by digit, as in "four two"; all else in `digits` is passed over."""
    return " ".join(cardinal(int(digit), language) for digit in digits if digit in "0123456789")


@lru_cache(maxsize=4096)
def _said(number: int, form: Literal["cardinal", "ordinal", "year"], language: str) -> str:
    from num2words import num2words  # noqa: PLC0415 - only a text with numbers needs it, with its fifty languages

    said: str = num2words(number, lang=language, to=form)
    return said.replace(",", "")
