"""Where a sentence ends: what a word, and the character after it, say about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from agent.pipeline.sentences.signs import (
    AMBIDEXTROUS,
    CLOSING_ONLY,
    CLOSING_QUOTE,
    DIVIDING,
    ENDING,
    ENDING_ANYWHERE,
    FADING,
    HYPHENS,
)
from agent.pipeline.sentences.vocabulary import (
    AFTER_ORDINALS,
    BEFORE_NUMBERS,
    BEFORE_ORDINALS,
    GOES_ON,
    MAY_END,
    OPENERS,
    STREET,
    plain,
    stem,
)
from agent.pipeline.sentences.words import Word, is_spaceless

_LETTERS = re.compile(r"[^\W\d_]{1,2}(?:\.[^\W\d_]{1,2})+")
"""As in "U.S", "a.m" and "Ph.D"."""
_FOOTNOTES = re.compile(r"(?:\[\^?\d{1,3}\])+$")
_ENDING = "".join(ENDING)
_LAST = _ENDING + CLOSING_QUOTE
_DIVIDING = "".join(DIVIDING | HYPHENS)
_LONGEST_LOOK = 48
"""Whatever is longer is no abbreviation [characters]."""
_WRAPPED = 40
"""A line that is no shorter and goes on in lower case was only wrapped [characters]."""
_SHORTEST_YEAR = 3
"""Digits; a number that has fewer may be an ordinal."""


class Pause(Enum):
    """What stands between a word and the next one."""

    NONE = "none"
    CLAUSE = "clause"
    PERHAPS = "perhaps"
    """The end of a sentence if the next word begins one: `begins_sentence`."""
    SENTENCE = "sentence"
    LINE = "line"


@dataclass(frozen=True)
class Place:
    """What came before the word in question."""

    before: str = ""
    """The word before it."""
    begins: bool = False
    """A sentence ended before the word."""
    is_quoted: bool = False
    """A quotation is open after the word."""
    line_length: int = 0
    """Of its line, the word included [characters]."""
    has_capitals: bool = True
    """Whether the text is not written in small letters throughout."""


def pause_after(word: Word, following: str, place: Place) -> Pause:
    """The pause between `word` and `following`, the first character of the next one."""
    if "\n" in word.gap and not _is_wrapped(word, following, place):
        return Pause.LINE
    text = word.text[-_LONGEST_LOOK:]
    if not text.strip(_LAST):
        text = place.before[-_LONGEST_LOOK:] + text
    text = _FOOTNOTES.sub("", text)
    core = text.rstrip(CLOSING_QUOTE)
    if core[-1:] == ";" and "\u0370" <= core[-2:-1] <= "\u03ff":
        core = core[:-1] + "?"  # the Greeks ask with a semicolon
    sign = core[-1:]
    if sign in ENDING:
        if not word.gap:
            return _after_ending_unspaced(core, following)
        return _after_ending(core, following, place, is_closed=text != core)
    if sign in DIVIDING or (word.gap and core in HYPHENS):
        return _after_dividing(core, following, place)
    return Pause.NONE


def begins_sentence(word: str, following: str) -> bool:
    """Whether the word `following` begins a sentence, where `Pause.PERHAPS` came after `word`."""
    name = stem(plain(following).rstrip(",;:!?…"))
    if plain(word).isdecimal():
        return name not in AFTER_ORDINALS
    is_initial = following.rstrip(CLOSING_QUOTE).endswith(".") and len(name) == 1
    return name in OPENERS and not is_initial


def _is_wrapped(word: Word, following: str, place: Place) -> bool:
    return word.gap.count("\n") == 1 and following.islower() and place.line_length >= _WRAPPED


def _after_ending_unspaced(core: str, following: str) -> Pause:
    if following == "と" and core[-1] in ENDING_ANYWHERE:
        return Pause.NONE  # 「はい。」と言った: so he said
    if core[-1] == "." and core[-2:-1].isdecimal():
        return Pause.NONE
    return Pause.SENTENCE if core[-1] in ENDING_ANYWHERE or is_spaceless(following) else Pause.NONE


def _after_ending(core: str, following: str, place: Place, *, is_closed: bool) -> Pause:
    if following in ENDING | CLOSING_ONLY or (place.is_quoted and following in AMBIDEXTROUS):
        return Pause.NONE
    signs = core[len(core.rstrip(_ENDING)) :]
    if not FADING.issuperset(signs):
        return Pause.NONE if is_closed and following.islower() else Pause.SENTENCE
    if following.islower() and place.has_capitals:
        return Pause.NONE
    return _after_full_stop(core, following, place) if signs == "." else Pause.SENTENCE


def _after_full_stop(core: str, following: str, place: Place) -> Pause:
    name = plain(core[-_LONGEST_LOOK:])
    if name in GOES_ON or (following.isdecimal() and (name in BEFORE_NUMBERS or name.endswith(STREET))):
        return Pause.NONE
    if name.isdecimal() and len(name) < _SHORTEST_YEAR:
        return _after_number(name, place)
    if name in MAY_END or (len(name) == 1 and name.isalpha()) or _LETTERS.fullmatch(name):
        return Pause.PERHAPS
    return Pause.SENTENCE


def _after_number(number: str, place: Place) -> Pause:
    """Goes on in "am 3. Mai", and in "Do this: 1. Mix it. 2. Bake it."."""
    begins_list = number == "1" and place.before.endswith(":")
    if place.begins or begins_list or place.before.casefold() in BEFORE_ORDINALS:
        return Pause.NONE
    return Pause.PERHAPS


def _after_dividing(core: str, following: str, place: Place) -> Pause:
    number = core.rstrip(_DIVIDING) or place.before
    if number[-1:].isdecimal() and following.isdecimal():
        return Pause.NONE
    return Pause.CLAUSE
