"""Arithmetic in English prose: ranges, signs before and between numbers, powers and fractions."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.english.numbers import NUMBER, number, ordinal, whole
from agent.speech_text.english.signs import POWERS

_VULGAR = MappingProxyType({
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
})  # fmt: skip
_VULGAR_SIGN = re.compile("(?:([0-9]) ?)?([½⅓⅔¼¾⅛⅜⅝⅞])")
_RAISED_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_LOWERED_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED = re.compile("(?<=[0-9A-Za-zπ)])([⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ]{1,12})")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]{1,12}")
_POWER = re.compile(r"(?<=[\w)])\^(?:\{(-?[\w.]{1,12})\}|\((-?[\w.]{1,12})\)|(-?[A-Za-z0-9]{1,12}))")
_EXPONENT = re.compile(rf"(?<![\w.])({NUMBER})[eE]([+-]?)([0-9]{{1,3}})(?![\w.])")
_MINUS = re.compile(r"(?<![\w)\].])[-−](?=\.?[0-9$€£])")
_BETWEEN = re.compile(r"(?<=[0-9)])\s+[-−–]\s+(?=[0-9(])|(?<=[0-9)])−(?=[0-9(])")
_DIFFERENCE = re.compile(r"(?<=[0-9])-(?=[0-9.]{1,20}\s?=)")
_RANGE = re.compile(rf"(?<![\w./-])({NUMBER})(%|°[CF]?)?\s?[-–]\s?({NUMBER})(?![\w/]|[-–][0-9])")
_DOTTED_RANGE = re.compile(r"(?<=[0-9])(?:–|\.{2,3})(?=[0-9])")
_TIMES = re.compile(r"(?<=[0-9)])\s*[×]\s*(?=[0-9(])")
_BY = re.compile(r"(?<=[0-9])\s?[x×]\s?(?=[0-9]{3})|(?<=[0-9])x(?=[0-9])")
_SIZE = re.compile(r"([0-9]\s?(?:[cmk]?m|in|ft|px)?) x (?=[0-9])")
_HEXADECIMAL = re.compile(r"(?<!\w)0x([0-9A-Fa-f]{1,16})(?!\w)")
_MARK = re.compile(r"(?<![\w/.:,-])([0-9]{1,3}\.[0-9]{1,2})/([0-9]{1,3})(?![\w/]|\.[0-9])")
_MULTIPLE = re.compile(r"(?<=[0-9])[x×](?=\s[a-z]{2})")
_APPLIED = re.compile(r"(?<![\w(])([A-Za-z])\(([^()\s,]{1,12})\)")
_DIVIDED = re.compile(r"(?<=[0-9)]) / (?=[0-9(])")
_ABOUT = re.compile(r"(?<!\w)[~≈]\s?(?=[$€£]?[0-9])")
_PLUS_OVER = re.compile(r"(?<=[0-9])\+(?=\s+[A-Za-z])")
_FRACTION = re.compile(r"(?<![\w/.:,-])(?:([0-9]{1,3})[ -])?([0-9]{1,3})/([0-9]{1,4})(?![\w/]|\.[0-9])")
_LESS = re.compile(r"<\s?(?=[$€£]?[0-9])")
_MORE = re.compile(r">\s?(?=[$€£]?[0-9])")
_NUMBER_SIGN = re.compile(r"(?<!\w)#(?=[0-9])")
_LONE_DECIMAL = re.compile(r"(?<![\w.])\.(?=[0-9])")
_BY_NAME = MappingProxyType({"24/7": "twenty-four seven", "9/11": "nine eleven", "50/50": "fifty-fifty"})
_OUT_OF = frozenset({"10", "100"})
_LARGEST_DENOMINATOR = 64


def prepared(text: str) -> str:
    """`text` in which signs before numbers and between them are words; the numbers are still digits."""
    said = _VULGAR_SIGN.sub(lambda found: f"{found[1] + ' ' if found[1] else ''}{_VULGAR[found[2]]}", text)
    said = _HEXADECIMAL.sub(lambda found: f"hex {' '.join(found[1])}", said)
    said = _NUMBER_SIGN.sub("number ", _LONE_DECIMAL.sub("0.", said))
    said = _LESS.sub("less than ", _MORE.sub("more than ", _ABOUT.sub("about ", said)))
    said = _DIFFERENCE.sub(" minus ", _BETWEEN.sub(_between, said))
    said = _RANGE.sub(_range, said)
    said = _MINUS.sub("minus ", _DOTTED_RANGE.sub(" to ", said))
    return _MULTIPLE.sub(" times", _TIMES.sub(" times ", _SIZE.sub(r"\1 by ", _BY.sub(" by ", said))))


def applied(text: str) -> str:
    """`text` in which f(x) is "f of x"."""
    return _APPLIED.sub(r"\1 of \2 ", text)


def said_maths(text: str) -> str:
    """`text` in which powers and fractions are words."""
    said = _RAISED.sub(lambda found: "^{" + found[1].translate(_RAISED_DIGITS) + "}", text)
    said = _LOWERED.sub(lambda found: f" {found[0].translate(_LOWERED_DIGITS)} ", said)
    said = _EXPONENT.sub(_exponent, said)
    said = _POWER.sub(lambda found: _power(found[1] or found[2] or found[3]), said)
    said = _PLUS_OVER.sub(" plus", _DIVIDED.sub(" divided by ", said))
    said = _MARK.sub(lambda found: f"{number(found[1])} out of {whole(found[2])}", said)
    return _FRACTION.sub(_fraction, said)


def fraction(above: str, below: str) -> str:
    """As in "three quarters"; a mark such as 8/10 is "out of"."""
    if below in _OUT_OF:
        return f"{whole(above)} out of {whole(below)}"
    if not 0 < int(above) < int(below) <= _LARGEST_DENOMINATOR or below[0] == "0":
        return f"{whole(above)} over {whole(below)}"
    name = {"2": "half", "4": "quarter"}.get(below) or ordinal(below)
    return f"{whole(above)} {name}{'' if int(above) == 1 else 's'}"


def mixed(above: str, below: str) -> str:
    """As what follows a whole number: "a half", "three quarters"."""
    said = fraction(above, below)
    return f"a {said[4:]}" if above == "1" and said.startswith("one ") else said


def _fraction(found: re.Match[str]) -> str:
    whole_part, above, below = found[1], found[2], found[3]
    if not whole_part:
        return _BY_NAME.get(found[0]) or fraction(above, below)
    return f"{whole(whole_part)} and {mixed(above, below)}"


def _between(found: re.Match[str]) -> str:
    return " to " if "–" in found[0] else " minus "


def _range(found: re.Match[str]) -> str:
    first, sign, last = found[1], found[2] or "", found[3]
    return f"{first}{sign} to {last}"


def _exponent(found: re.Match[str]) -> str:
    sign = "minus " if found[2] == "-" else ""
    return f"{number(found[1])} times ten to the power of {sign}{whole(found[3].lstrip('0') or '0')}"


def _power(exponent: str) -> str:
    return f" {POWERS.get(exponent) or 'to the power of ' + exponent.replace('-', 'minus ')}"
