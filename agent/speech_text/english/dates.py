"""Dates in English, as they are said in America or in Britain."""

from __future__ import annotations

import re

from agent.speech_text.english.numbers import ordinal, whole, year

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_SHORT = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_MONTH = r"(?P<month>" + "|".join([*_MONTHS, *(rf"{short}\b\.?" for short in _SHORT)]) + ")"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?(?:\s?[-–]\s?(?P<last>[0-9]{1,2})(?:st|nd|rd|th)?)?"
_ISO = re.compile(
    r"(?<![\w-])([12][0-9]{3})-([01][0-9])-([0-3][0-9])"
    r"(?:[T ](?P<time>[0-2][0-9]:[0-5][0-9])(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?P<utc>Z)?(?:[+-][0-9]{2}:?[0-9]{2})?)?(?![\w-])"
)
_NUMERIC = re.compile(r"(?<![\w/.-])([0-9]{1,2})([/.])([0-9]{1,2})\2([12][0-9]{3})(?![\w/]|\.[0-9])")
_MONTH_FIRST = re.compile(rf"\b{_MONTH} {_DAY}(?![\w:%]|[.,/][0-9])(?:,? (?P<year>[12][0-9]{{3}})(?![\w.,][0-9]))?")
_DAY_FIRST = re.compile(
    rf"(?<![\w.,:/$-])(?P<the>[Tt]he )?{_DAY} (?:of )?{_MONTH}(?![\w])(?:,? (?P<year>[12][0-9]{{3}})(?![\w.,][0-9]))?"
)
_MONTH_OF_YEAR = re.compile(rf"\b{_MONTH},? (?P<year>[12][0-9]{{3}})\b")
_SPAN = re.compile(r"(?<=[0-9])\s?–\s?(?=[A-Z][a-z]{2})")
_DECADE = re.compile(r"(?<![\w.,])'?((?:1[1-9]|20)[0-9]0)'?s\b")
_SHORT_DECADE = re.compile(r"(?:(?<!\w)'|(?i:\b(?P<before>the |early |late |mid-|their |his |her |my )))([2-9]0)'?s\b")
_MONTHS_IN_YEAR = 12
_DAYS_IN_MONTH = 31


def said_dates(text: str, *, day_first: bool) -> str:
    """`text` in which dates and decades are words; `day_first` tells whose 3/4/2026 it is, and how a date is said."""

    def said(day: int, month: int, years: str) -> str:
        name = _MONTHS[month - 1]
        if day_first:
            return f"the {ordinal(str(day))} of {name} {year(years)}"
        return f"{name} {ordinal(str(day))}, {year(years)}"

    def iso(found: re.Match[str]) -> str:
        month, day = int(found[2]), int(found[3])
        if not _is_date(day, month):
            return found[0]
        time = f" at {found['time']}" if found["time"] else ""
        return f"{said(day, month, found[1])}{time}{' UTC' if found['utc'] else ''}"

    def numeric(found: re.Match[str]) -> str:
        first, second = int(found[1]), int(found[3])
        is_day_first = (day_first or first > _MONTHS_IN_YEAR or found[2] == ".") and second <= _MONTHS_IN_YEAR
        day, month = (first, second) if is_day_first else (second, first)
        return said(day, month, found[4]) if _is_date(day, month) else found[0]

    dated = _NUMERIC.sub(numeric, _ISO.sub(iso, _SPAN.sub(" to ", text)))
    dated = _DAY_FIRST.sub(_day_of_month, _MONTH_FIRST.sub(_month_and_day, dated))
    dated = _DECADE.sub(lambda found: _decade(year(found[1])), dated)
    dated = _SHORT_DECADE.sub(lambda found: f"{found['before'] or ''}{_decade(whole(found[2]))}", dated)
    return _MONTH_OF_YEAR.sub(lambda found: f"{_name(found['month'])} {year(found['year'])}", dated)


def _is_date(day: int, month: int) -> bool:
    return 1 <= month <= _MONTHS_IN_YEAR and 1 <= day <= _DAYS_IN_MONTH


def _month_and_day(found: re.Match[str]) -> str:
    days = _days(found)
    if days is None:
        return found[0]
    return f"{_name(found['month'])} {days}" + (f", {year(found['year'])}" if found["year"] else "")


def _day_of_month(found: re.Match[str]) -> str:
    days = _days(found)
    if days is None:
        return found[0]
    the = found["the"] or "the "
    return f"{the}{days} of {_name(found['month'])}" + (f" {year(found['year'])}" if found["year"] else "")


def _days(found: re.Match[str]) -> str | None:
    days = [found["day"], found["last"]] if found["last"] else [found["day"]]
    if not all(_is_date(int(day), 1) for day in days):
        return None
    return " to ".join(map(ordinal, days))


def _decade(said: str) -> str:
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def _name(month: str) -> str:
    return _SHORT.get(month.rstrip("."), month)
