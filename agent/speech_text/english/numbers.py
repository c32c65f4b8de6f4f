"""Numbers in English: whole and decimal ones, ordinals, fractions, years, versions and ranges."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text import numerals

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"
"""Such as 1,234.5."""

_LANGUAGE = "en"
_LONGEST_SPELLED = 24
_LONGEST_FRACTION = 12

_ORDINAL = re.compile(r"(?<![\w.])([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(?:st|nd|rd|th)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?!\w|\.[0-9])")
_SCALED = re.compile(rf"(?<![\w.,])({NUMBER})(k|M|bn)(?![\w])")
_SCALES = MappingProxyType({"k": "thousand", "M": "million", "bn": "billion"})
_VERSION = re.compile(r"(?<![\w.,])(?P<v>[vV])?(?P<parts>[0-9]+(?:\.[0-9]+)+)(?![\w])")
_SHORT_VERSION = re.compile(r"(?<![\w.])[vV]([0-9]{1,6})(?!\w|\.[0-9])")
_RELEASED = re.compile(
    r"(?i:\b(?:version|release|python|debian|ubuntu|node|java|ios|android|macos|linux|kernel|jetpack|cuda))\s\Z"
)
_YEAR = re.compile(r"(?<![\w.,$€£/:-])(1[0-9]{3}|20[0-9]{2})(?![\w/:%-]|[.,][0-9]|\s(?:by|times|percent)\b)")
_YEAR_BEFORE = re.compile(
    r"(?i:\b(?:in|since|until|till|from|before|after|circa|year|early|late|mid)|"
    r"January|February|March|April|May|June|July|August|September|October|November|December)[\s-]\Z"
)
_YEAR_AFTER = re.compile(r"\s(?:AD|BC|CE|BCE)\b")
_SERIAL = re.compile(r"(?<=[^\W\d_])-(?=[0-9])")
_PLAIN = re.compile(NUMBER)


def whole(digits: str) -> str:
    """A number of digits and commas; a very long one is only counted, and one that starts with 0 is spelled."""
    digits = digits.replace(",", "")
    if len(digits) > _LONGEST_SPELLED:
        return f"a number of {numerals.cardinal(len(digits), _LANGUAGE)} digits"
    if len(digits) > numerals.LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return numerals.each(digits, _LANGUAGE)
    return numerals.cardinal(int(digits), _LANGUAGE)


def number(text: str) -> str:
    """What NUMBER finds."""
    before, _, after = text.partition(".")
    if not after:
        return whole(before)
    more = " and so on" if len(after) > _LONGEST_FRACTION else ""
    return f"{whole(before)} point {numerals.each(after[:_LONGEST_FRACTION], _LANGUAGE)}{more}"


def spelled(digits: str) -> str:
    """Digit by digit."""
    return numerals.each(digits, _LANGUAGE)


def ordinal(digits: str) -> str:
    """As in "twenty-first", of at most fifteen digits."""
    return numerals.ordinal(int(digits.replace(",", "")), _LANGUAGE)


def year(digits: str) -> str:
    """As in "twenty twenty-six"."""
    return numerals.year(int(digits), _LANGUAGE)


def said_numbers(text: str) -> str:
    """`text` without a digit: what no other reader has taken."""
    said = _ORDINAL.sub(lambda found: _ordinal(found[1]), text)
    said = _SCALED.sub(lambda found: f"{number(found[1])} {_SCALES[found[2]]}", said)
    said = _ADDRESS.sub(_address, said)
    said = _SHORT_VERSION.sub(lambda found: f"version {whole(found[1])}", said)
    said = _VERSION.sub(_version, said)
    said = _YEAR.sub(_year, said)
    return _PLAIN.sub(_plain, _SERIAL.sub(" ", said))


def _ordinal(digits: str) -> str:
    return ordinal(digits) if len(digits.replace(",", "")) <= numerals.LONGEST else whole(digits)


def _address(found: re.Match[str]) -> str:
    host, _, port = found[0].partition(":")
    said = " dot ".join(map(spelled, host.split(".")))
    return f"{said} port {whole(port)}" if port else said


def _version(found: re.Match[str]) -> str:
    parts = found["parts"].split(".")
    if found["v"]:
        return f"version {' point '.join(map(whole, parts))}"
    is_version = found["parts"].count(".") > 1 or _RELEASED.search(
        found.string[max(0, found.start() - 20) : found.start()]
    )
    return " point ".join(map(whole, parts)) if is_version else found[0]


def _year(found: re.Match[str]) -> str:
    text, digits = found.string, found[1]
    is_recent = digits >= "1900"
    is_dated = _YEAR_BEFORE.search(text[max(0, found.start() - 20) : found.start()]) or _YEAR_AFTER.match(
        text, found.end()
    )
    return year(digits) if is_recent or is_dated else digits


def _plain(found: re.Match[str]) -> str:
    text, said = found.string, number(found[0])
    before = text[found.start() - 1 : found.start()]
    after = text[found.end() : found.end() + 1]
    apart_before = " " if before.isalnum() or before == "." else ""
    apart_after = " " if after.isalnum() else ""
    if after == "," and text[found.end() + 1 : found.end() + 2].isdigit():
        return f"{apart_before}{said}"
    return f"{apart_before}{said}{apart_after}"
