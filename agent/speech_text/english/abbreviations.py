"""Abbreviations in English in full, and initials in a form that every voice spells."""

from __future__ import annotations

import re
from types import MappingProxyType

_ANYWHERE = MappingProxyType({
    "e.g.": "for example", "eg.": "for example", "i.e.": "that is", "ie.": "that is", "etc.": "et cetera",
    "vs.": "versus", "vs": "versus", "approx.": "approximately", "ca.": "about", "cf.": "compare",
    "et al.": "and others",
    "incl.": "including", "excl.": "excluding", "esp.": "especially", "est.": "estimated", "dept.": "department",
    "misc.": "miscellaneous", "resp.": "respectively", "tel.": "telephone",
    "Mr.": "Mister", "Mr": "Mister", "Mrs.": "Missus", "Mrs": "Missus", "Ms.": "Miz", "Ms": "Miz", "Prof.": "Professor",
    "Jr.": "Junior", "Sr.": "Senior", "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation",
    "Ph.D.": "PhD", "Mt.": "Mount", "Gen.": "General", "Gov.": "Governor", "Sen.": "Senator", "Capt.": "Captain",
    "w/o": "without", "w/": "with", "b/c": "because", "n/a": "not applicable", "N/A": "not applicable",
    "a.k.a.": "also known as",
    "aka": "also known as",
})  # fmt: skip
_BEFORE_NUMBER = MappingProxyType({
    "No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure", "p.": "page",
    "pp.": "pages",
    "vol.": "volume", "Vol.": "volume", "ch.": "chapter", "Ch.": "chapter", "sec.": "section", "Sec.": "section",
    "max.": "maximum", "min.": "minimum", "eq.": "equation", "Eq.": "equation", "ver.": "version",
})  # fmt: skip
_ENDS_A_SENTENCE = frozenset({"etc.", "Inc.", "Ltd.", "Corp.", "Jr.", "Sr.", "Ph.D.", "et al."})
_STREETS = MappingProxyType({"St.": "Street", "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Dr.": "Drive"})
_TITLES = MappingProxyType({"St.": "Saint", "Dr.": "Doctor"})


def _either(names: list[str]) -> str:
    return "|".join(re.escape(name) + ("" if name.endswith((".", "/")) else r"(?!\w)") for name in names)


_SHORT = re.compile(rf"(?<![\w./@-])({_either(sorted(_ANYWHERE, key=len, reverse=True))})(?P<end>\s*\Z|\s+(?=[A-Z]))?")
_NUMBERED = re.compile(rf"(?<![\w.])({_either(list(_BEFORE_NUMBER))})\s?(?=[0-9])")
_TITLE = re.compile(r"(?<![\w.])(St\.|Dr\.)\s?(?=[A-Z])")
_STREET = re.compile(rf"(?<=[a-z] )({_either(list(_STREETS))})")
_MONTH = re.compile(r"\b(Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\.(?=\s[a-z]|,)")
_MONTHS = MappingProxyType({
    "Jan": "January", "Feb": "February", "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December",
})  # fmt: skip
_LANGUAGE_NAME = re.compile(r"(?<![\w])([A-Z])(#|\+\+)(?!\w)")

_DOTTED = re.compile(r"(?<![\w.])((?:[A-Z]\.){2,6})(?P<end>\s*\Z|\s+(?=[A-Z]))?(?!\w)")
_INITIALS = frozenset({
    "AI", "API", "ATM", "AWS", "CEO", "CFO", "CTO", "EU", "EV", "ID", "IDE", "IP", "IQ", "IRS", "ISP", "LED", "OLED",
    "OS", "UAE", "UI", "UN", "URI", "URL", "US", "UX",
})  # fmt: skip
_WORD = re.compile(r"(?<![\w-])(i?[A-Z]{2,4}|IoT)(s)?(?![\w-])")
_LOWER = re.compile("[a-z]")


_DAYS = MappingProxyType({
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
})  # fmt: skip
_DAY = "(" + "|".join(_DAYS) + ")"
_DAY_RANGE = re.compile(rf"\b{_DAY}\.?\s?[-–]\s?{_DAY}\b\.?")
_DOTTED_DAY = re.compile(r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri)\.(?=,?\s\S)")


def said_abbreviations(text: str) -> str:
    """`text` in which they are words; one that ends the sentence leaves its stop behind."""
    said = _LANGUAGE_NAME.sub(lambda found: f"{found[1]} {'sharp' if found[2] == '#' else 'plus plus'}", text)
    said = _NUMBERED.sub(lambda found: f"{_BEFORE_NUMBER[found[1]]} ", said)
    said = _STREET.sub(_street, said)
    said = _TITLE.sub(lambda found: f"{_TITLES[found[1]]} ", said)
    said = _SHORT.sub(_short, said)
    said = _DAY_RANGE.sub(lambda found: f"{_DAYS[found[1]]} to {_DAYS[found[2]]}", said)
    said = _DOTTED_DAY.sub(lambda found: _DAYS[found[1]], said)
    return _MONTH.sub(lambda found: _MONTHS[found[1]], said)


def said_initials(text: str) -> str:
    """`text` in which initials that a voice takes for a word, or whose dots for stops, are joined by hyphens."""
    said = _DOTTED.sub(_dotted, text)
    return _WORD.sub(_initials, said) if _LOWER.search(said) else said


def _short(found: re.Match[str]) -> str:
    short, end = found[1], found["end"]
    if end is None:
        return _ANYWHERE[short] + (" " if short == "w/" else "")
    stop = (
        "."
        if short in _ENDS_A_SENTENCE or (short.endswith(".") and not end.strip() and found.end() == len(found.string))
        else ""
    )
    return f"{_ANYWHERE[short]}{stop}{end}"


def _street(found: re.Match[str]) -> str:
    rest = found.string[found.end() :]
    if rest[:2].strip()[:1].isupper():
        return found[0]
    return _STREETS[found[1]] + ("" if rest.strip() else ".")


def _dotted(found: re.Match[str]) -> str:
    stop = "." if found["end"] is not None and not found["end"].strip() and found.end() == len(found.string) else ""
    return "-".join(found[1].replace(".", "")) + stop + (found["end"] or "")


def _initials(found: re.Match[str]) -> str:
    word, plural = found[1], found[2]
    if word == "IoT":
        word = "IOT"
    elif word not in _INITIALS and word != "iOS":
        return found[0]
    return "-".join(word) + ("'s" if plural else "")
