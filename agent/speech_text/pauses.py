"""Where a voice pauses: brackets and dashes are commas, runs of signs one sign, and lines end as they are meant to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.speech_text.blocks import Line

_PLURAL = re.compile(r"(?<=[a-z])\((e?s)\)")
_BRACKETS = re.compile(r"[()\[\]]+")
_DASH = re.compile(r"[—―]|(?<!\w)–|–(?!\w)|(?<!\S)-+(?!\S)")
_SLASH = re.compile(r"(?<![0-9])/|/(?![0-9])")
_SPACES = re.compile(r"\s+")
_MARKS = re.compile(r"[,;:.!?…](?:[,;:.!?…‽]|\s[,;:.!?…‽](?!\w))+|…")
_BEFORE_MARK = re.compile(r"\s(?=[,;!?，。！？；：、]|[.:](?!\w))")
_TIGHT = re.compile(r"(?<=[^\W\d_]),(?=[^\W\d_])")
_LEADING = re.compile(r"\A[\s,;:.!?/]+(?=\w)")
_STOPS = ".!?…:;,。！？：；，、۔؟।"
_LAST_OF_LATIN = "\u024f"
_SHORT = 60


def paused(text: str) -> str:
    """`text` with single spaces and with signs that a voice can follow; empty if nothing in it can be said."""
    if not any(map(str.isalnum, text)):
        return ""
    said = _PLURAL.sub(r"\1", text).strip(" ()[]")
    said = _SLASH.sub(" ", _DASH.sub(", ", _BRACKETS.sub(", ", said)))
    said = _BEFORE_MARK.sub("", _MARKS.sub(_strongest, _SPACES.sub(" ", said)))
    return _LEADING.sub("", _TIGHT.sub(", ", said)).strip()


def _strongest(found: re.Match[str]) -> str:
    run = found[0]
    for mark in "?!":
        if mark in run:
            return mark
    if "…" in run or ".." in run:
        return "..."
    return next((mark for mark in ".:;" if mark in run), ",")


def joined(lines: Iterable[Line]) -> str:
    """One line of those that say something, as they are said.

    The voice stops before one that stands alone and after one that is the last, and pauses after a short one.
    """
    said: list[str] = []
    ended = True
    for line in lines:
        if line.text:
            if said and not ended:
                said[-1] = _stopped(said[-1]) if line.alone else _paused(said[-1])
            said.append(_stopped(line.text) if line.last else line.text)
            ended = line.last
    return " ".join(said)


def _paused(line: str) -> str:
    is_verse = len(line) < _SHORT and line[-1].isalnum() and line[-1] <= _LAST_OF_LATIN
    return f"{line}," if is_verse else line


def _stopped(line: str) -> str:
    return line if line[-1] in _STOPS else f"{line}."
