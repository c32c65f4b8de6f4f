"""Numbers in German; a lone 1, whose form depends on what is counted, is left to the engine."""

from __future__ import annotations

import re

from agent.speech_text import numerals

NUMBER = r"(?:[0-9]{1,3}(?:\.[0-9]{3})+(?![0-9])|[0-9]+)(?:,[0-9]+)?"
"""Such as 1.234,5."""

_LANGUAGE = "de"
_LONGEST_SPELLED = 24
_LONGEST_FRACTION = 12
_YEAR = re.compile(r"(?<![\w.,:/-])(1[1-9][0-9]{2})(?![\w/%]|[.,:-][0-9])")
_YEAR_BEFORE = re.compile(r"(?i:\b(?:in|im jahr|im jahre|seit|bis|von|vor|nach|um|ab|jahr|anno)\s)\Z")
_RECENT = "1900"
_PLAIN = re.compile(rf"(?<![\w.,/:^-]){NUMBER}(?![\w/:-]|[.,][0-9]|\.\s+\w)")
_MINUS = re.compile(r"(?<![\w)\].])[-−](?=[0-9€$])")
_ABOUT = re.compile(r"(?<!\w)[~≈]\s?(?=[0-9])")
_RANGE = re.compile(rf"(?<![\w.,/:-])({NUMBER})\s?[-–]\s?({NUMBER})(?![\w/]|[-–.,][0-9])")
_BETWEEN = re.compile(r"(?<=[0-9)])\s+[-−]\s+(?=[0-9(])")
_TIMES = re.compile(r"(?<=[0-9)])\s*[×*]\s*(?=[0-9(])|(?<=[0-9])\s?x\s?(?=[0-9])")


def prepared(text: str) -> str:
    """`text` in which signs before numbers and between them are words; the numbers are still digits."""
    said = _ABOUT.sub("etwa ", _BETWEEN.sub(" minus ", text))
    said = _MINUS.sub("minus ", _RANGE.sub(lambda found: f"{found[1]} bis {found[2]}", said))
    return _TIMES.sub(" mal ", said)


def said_numbers(text: str) -> str:
    """`text` in which numbers that stand by themselves are words."""
    return _PLAIN.sub(lambda found: found[0] if found[0] == "1" else number(found[0]), _YEAR.sub(_year, text))


def whole(digits: str) -> str:
    """A number of digits and dots; a very long one is only counted, and one that starts with 0 is spelled."""
    digits = digits.replace(".", "")
    if len(digits) > _LONGEST_SPELLED:
        return f"eine Zahl mit {cardinal(len(digits))} Stellen"
    if len(digits) > numerals.LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return numerals.each(digits, _LANGUAGE)
    return cardinal(int(digits))


def number(text: str) -> str:
    """What NUMBER finds."""
    before, _, after = text.partition(",")
    if not after:
        return whole(before)
    more = " und so weiter" if len(after) > _LONGEST_FRACTION else ""
    return f"{whole(before)} Komma {numerals.each(after[:_LONGEST_FRACTION], _LANGUAGE)}{more}"


def cardinal(value: int) -> str:
    """As in "zweiundvierzig"."""
    return numerals.cardinal(value, _LANGUAGE)


def ordinal(value: int, ending: str) -> str:
    """As in "dritten", where `ending` is "n"."""
    return numerals.ordinal(value, _LANGUAGE) + ending


def year(digits: str) -> str:
    """As in "neunzehnhundertneunundachtzig"."""
    return numerals.year(int(digits), _LANGUAGE)


def _year(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 12) : found.start()]
    return year(found[1]) if found[1] >= _RECENT or _YEAR_BEFORE.search(before) else found[1]
