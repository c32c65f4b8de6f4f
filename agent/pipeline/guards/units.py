"""Text cut into what a loop consists of: words, or letters of a script without blanks; each with what it weighs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_MARKS = (
    r"!-&(-/:-@\[-`{-~\u00a1-\u00bf\u060c\u061b\u061f\u06d4\u0964\u0965\u2010-\u2027\u2030-\u205e\u2190-\u25ff"
    r"\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
"""An apostrophe is not among them: it is part of its word."""

_PART = re.compile(rf"([^\s{_MARKS}{_HAN}{_SPACELESS}]+)|(\s+)|.", re.DOTALL)
_HAN_LETTER = re.compile(rf"[{_HAN}]")
_SPACELESS_LETTER = re.compile(rf"[{_SPACELESS}]")

_WORD_WEIGHS = 1.0
_NUMBER_WEIGHS = 0.25
_HAN_WEIGHS = 0.5
_SPACELESS_WEIGHS = 0.25
_SIGN_WEIGHS = 0.125

_LONGEST_WORD = 40
"""What follows within a word counts letter by letter: a loop may have no blanks at all."""
_LONGEST_BLANK = 8
"""The same, for blanks."""


class Unit(NamedTuple):
    """One of them."""

    text: str
    """In lower case."""
    weight: float
    """How much there is to say [words]."""
    end: int
    """Where it ends in the text [characters]."""


class Units:
    """The units of a text that arrives; a word is one as soon as the character behind it is there."""

    def __init__(self) -> None:
        self._word: list[str] = []
        self._letters = 0
        """Of the word so far."""
        self._blanks = 0
        """Since the last that is none."""
        self._at = 0

    def feed(self, piece: str) -> Iterator[Unit]:
        """Takes on `piece`; gives the units it completes."""
        for part in _PART.finditer(piece):
            text, kind = part[0], part.lastindex
            if kind == 1:
                self._blanks = 0
                yield from self._go_on(text)
            else:
                yield from self.end()
                yield from self._blank(text) if kind else self._sign(text)
            self._at += len(text)

    def end(self) -> Iterator[Unit]:
        """The last word, if one is open."""
        if self._word:
            word = "".join(self._word).lower()
            self._word.clear()
            yield Unit(word, _NUMBER_WEIGHS if word.isdigit() else _WORD_WEIGHS, self._at)
        self._letters = 0

    def _go_on(self, text: str) -> Iterator[Unit]:
        fits = max(0, _LONGEST_WORD - self._letters)
        self._letters += len(text)
        if text[:fits]:
            self._word.append(text[:fits])
        if len(text) <= fits:
            return
        if self._word:
            yield Unit("".join(self._word).lower(), _WORD_WEIGHS, self._at + fits)
            self._word.clear()
        for index, letter in enumerate(text[fits:], start=fits + 1):
            yield Unit(letter, _SIGN_WEIGHS, self._at + index)

    def _blank(self, text: str) -> Iterator[Unit]:
        for index in range(1, len(text) + 1):
            self._blanks += 1
            if self._blanks > _LONGEST_BLANK:
                yield Unit(" ", _SIGN_WEIGHS, self._at + index)

    def _sign(self, text: str) -> Iterator[Unit]:
        self._blanks = 0
        weight = _SIGN_WEIGHS
        if _HAN_LETTER.match(text):
            weight = _HAN_WEIGHS
        elif _SPACELESS_LETTER.match(text):
            weight = _SPACELESS_WEIGHS
        yield Unit(text, weight, self._at + 1)
