"""Times of day, spans and ratios in English."""

from __future__ import annotations

import re

from agent.speech_text.english.numbers import whole

_HALF = r"(?:\s?(?P<half>[AaPp])(?:\.\s?[Mm](?:\.(?!\s*\Z|\s+[A-Z]))?|[Mm])(?!\w))"
_RATIO = re.compile(r"(?<![\w:.])([0-9]{1,4}):([0-9])(?![\w:]|\.[0-9])")
_TIME = re.compile(
    rf"(?<![\w:.])(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?{_HALF}?(?![\w:]|\.[0-9])"
)
_HOUR = re.compile(rf"(?<![\w:.,])(?P<hour>1[0-2]|[1-9])(?:\s?[-–]\s?(?P<last>1[0-2]|[1-9]))?{_HALF}")
_RANGE = re.compile(r"(?<=[0-9]:[0-9]{2})\s?[-–]\s?(?=[0-9]{1,2}:[0-9]{2})")
_RANGE_OF_HALVES = re.compile(r"(?<=[AaPp][Mm])\s?[-–]\s?(?=[0-9])")
_SPAN = re.compile(r"(?<![\w.])([0-9]{1,3})\s?h(?:\s?([0-9]{1,2})(?:\s?m(?:in)?)?)(?!\w|\.[0-9])")
_LATEST_BY_CLOCK = 12


def said_times(text: str) -> str:
    """`text` in which they are words."""
    text = _RANGE_OF_HALVES.sub(" to ", text)
    if ":" in text:
        said = _RANGE.sub(" to ", text)
        said = _RATIO.sub(lambda found: f"{whole(found[1])} to {whole(found[2])}", said)
        text = _TIME.sub(_time, said)
    text = _HOUR.sub(_hour, text)
    return _SPAN.sub(lambda found: f"{found[1]} h {found[2].lstrip('0') or '0'} min", text)


def _time(found: re.Match[str]) -> str:
    hour, minute, half = found["hour"].lstrip("0") or "0", found["minute"], found["half"]
    said = f"{whole(hour)}{_minutes(minute, int(hour), on_the_hour=not half and not found['second'])}"
    if found["second"]:
        said += f" and {whole(found['second'].lstrip('0') or '0')} seconds"
    return f"{said}{_half(half)}"


def _minutes(minute: str, hour: int, *, on_the_hour: bool) -> str:
    if minute != "00":
        return f" oh {whole(minute[1])}" if minute[0] == "0" else f" {whole(minute)}"
    if not on_the_hour:
        return ""
    return " o'clock" if 0 < hour <= _LATEST_BY_CLOCK else " hundred"


def _hour(found: re.Match[str]) -> str:
    last = f" to {whole(found['last'])}" if found["last"] else ""
    return f"{whole(found['hour'])}{last}{_half(found['half'])}"


def _half(letter: str | None) -> str:
    return f" {letter.upper()}-M" if letter else ""
