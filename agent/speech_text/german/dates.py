"""Dates, times and ordinals in German, with the ending that the word before them asks for."""

from __future__ import annotations

import re

from agent.speech_text.german.numbers import cardinal, ordinal, year

MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni",
    "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
_BEFORE = (
    r"(?P<before>\b(?:[Dd](?:er|ie|as|em|en|es)|[AaIi]m|[Vv]o[mn]|[Zz]u[mr]|[Bb]eim|[Ss]eit|[Bb]is|[Aa]b)"
    r"\s(?:zum\s)?)?"
)
_NOMINATIVE = frozenset({"der", "die", "das"})
_NUMERIC = re.compile(
    _BEFORE + r"(?<![\w.])([0-3]?[0-9])\.\s?([01]?[0-9])\.(?:\s?([12][0-9]{3})(?![\w]|\.[0-9]))?(?!\s?[0-9])"
)
_ISO = re.compile(_BEFORE + r"(?<![\w-])(?P<year>[12][0-9]{3})-(?P<month>[01][0-9])-(?P<day>[0-3][0-9])(?![\w-])")
_NAMED = re.compile(
    _BEFORE + rf"(?<![\w.])([0-3]?[0-9])\.\s?({'|'.join(MONTHS)})\b(?:\s([12][0-9]{{3}})(?![\w.,:][0-9]))?"
)
_ORDINAL = re.compile(_BEFORE.removesuffix("?") + r"([1-9][0-9]{0,2})\.\s(?=[a-zäöüA-ZÄÖÜ])")
_TIME = re.compile(
    r"(?<![\w:.,])([01]?[0-9]|2[0-4])(?::([0-5][0-9])(?:\sUhr\b)?|\.([0-5][0-9])\sUhr\b)(?![\w:]|\.[0-9])"
)
_HOUR = re.compile(r"(?<![\w:.,])1\sUhr\b")
_MONTHS_IN_YEAR = 12
_DAYS_IN_MONTH = 31


def said_dates(text: str) -> str:
    """`text` in which they are words."""
    said = _ISO.sub(lambda found: _date(found, found["day"], found["month"], found["year"]), text)
    said = _NUMERIC.sub(lambda found: _date(found, found[2], found[3], found[4]), said)
    said = _NAMED.sub(lambda found: _date(found, found[2], str(MONTHS.index(found[3]) + 1), found[4]), said)
    said = _ORDINAL.sub(lambda found: f"{found['before']}{ordinal(int(found[2]), _ending(found['before']))} ", said)
    return _HOUR.sub("ein Uhr", _TIME.sub(_time, said))


def _date(found: re.Match[str], day: str, month: str, years: str | None) -> str:
    if not (1 <= int(day) <= _DAYS_IN_MONTH and 1 <= int(month) <= _MONTHS_IN_YEAR):
        return found[0]
    before = found["before"] or ""
    said = f"{before}{ordinal(int(day), _ending(before))} {MONTHS[int(month) - 1]}"
    return f"{said} {year(years)}" if years else said


def _ending(before: str) -> str:
    if not before:
        return "r"
    return "" if before.strip().lower() in _NOMINATIVE else "n"


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2] or found[3])
    said = f"{'ein' if hour == 1 else cardinal(hour)} Uhr"
    return f"{said} {cardinal(minute)}" if minute else said
