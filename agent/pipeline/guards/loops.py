"""A passage that a model says again and again: found while it is written, and cut off."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from math import ceil

from agent.pipeline.guards.layout import Layout
from agent.pipeline.guards.units import Unit, Units

LONGEST = 160
"""Longest passage [units]: some 60 words with their signs, in a script without blanks some 80."""

_GRAM = 3
"""So many units that come again make a suspicion."""
_FEWEST = 3
_FEWEST_SHORT = 4
_FEWEST_AT_LIMIT = 2
_SHORT = 40
"""[words]"""
_INSISTENCE = 20
"""So many words said again beyond the fewest repetitions [words]: `ha ha ha ha` is no loop yet."""
_PATIENCE = 4
"""In code and tables, that often as many: rows of zeros, empty cells, lines that are the same."""

_ENDING = frozenset(".?!\u2026\u0964\u06d4\u061f")
_ENDING_ANYWHERE = frozenset("\u3002\uff01\uff1f")
_CLOSING = frozenset("\"'\u201d\u2019\u00bb\u300d\u300f)]*_`\uff09")
_CLOSING_SIGNS = 4
"""So many behind the end of a sentence are looked at."""
_END_OF_LINE = re.compile(r"[^\S\n]*\n")
_HANGING = " \t\r\n,;:([-\u2013\u2014\u3001\uff0c\uff1b\uff1a"


def needed(weight: float, *, is_patient: bool) -> int:
    """How often a passage of so many words must stand in a row to be a loop: 23 times for one word, 3 for fifty."""
    fewest = _FEWEST if weight >= _SHORT else _FEWEST_SHORT
    times = max(_FEWEST + int(_INSISTENCE / weight), fewest)
    return times * _PATIENCE if is_patient else times


def needed_at_limit(weight: float) -> int:
    """The same for an answer that came to its longest within it, which a model that goes in a circle does."""
    return max(_FEWEST_AT_LIMIT if weight >= _INSISTENCE else _FEWEST, ceil(_INSISTENCE / weight))


class Loops:
    """Lets a text through up to where it is certain that it goes in a circle.

    A passage is compared unit by unit, so whatever differs in a word, as a number that is counted up, is none. A unit
    costs next to nothing while no three units in a row come again; after that, one comparison for each distance at
    which they did.
    """

    def __init__(self) -> None:
        self._units = Units()
        self._layout = Layout()
        self._unread: list[str] = []
        """What `_layout` did not get yet: it is asked in suspicion only."""
        self._length = 0
        self._texts: list[str] = []
        self._ends = array("q")
        self._weights = array("d", [0.0])
        """Of all units up to each."""
        self._grams: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._runs: dict[int, int] = {}
        """Where the text began to be the same as so many units before."""
        self._passage: tuple[int, int] | None = None
        """Of what goes in a circle: its first unit, and how many there are."""
        self.is_over = False
        """Whether it does."""

    def feed(self, piece: str) -> str:
        """Takes on `piece`; gives it, or what of it stands before the loop is certain."""
        start = self._length
        self._unread.append(piece)
        self._length += len(piece)
        for unit in self._units.feed(piece):
            if self._closes_loop(unit):
                self.is_over = True
                return piece[: max(0, unit.end - start)]
        return piece

    def end(self, *, at_limit: bool = False) -> str:
        """Nothing was held back; the last word may still be the one that makes it certain.

        `at_limit`: it came to its longest, maybe within a word. Less makes it certain then.
        """
        if at_limit:
            here = len(self._texts) - 1
            self.is_over = any(self._is_loop_at_limit(here, period) for period in sorted(self._runs))
            return ""
        for unit in self._units.end():
            self.is_over = self._closes_loop(unit)
        return ""

    def without_repetition(self, text: str) -> str:
        """`text`, which is all that was fed, or let through; of what went in a circle, one passage is left."""
        if not self._passage:
            return text
        first, period = self._passage
        last = first + period - 1
        # A loop need not begin where a sentence does: the nearest end of one, forward or less than half a passage back.
        for index in sorted(range(last - period // 2, last + period), key=lambda index: (abs(index - last), -index)):
            if place := _sensible(text, self._ends[index]):
                return text[:place].rstrip()
        passage = text[: self._ends[last]]
        return passage.rstrip(_HANGING) or passage

    def _closes_loop(self, unit: Unit) -> bool:
        here = len(self._texts)
        texts = self._texts
        texts.append(unit.text)
        self._ends.append(unit.end)
        self._weights.append(self._weights[-1] + unit.weight)
        if self._runs:
            self._runs = {period: since for period, since in self._runs.items() if texts[here - period] == unit.text}
        if here + 1 >= _GRAM:
            self._suspect(here)
        return bool(self._runs) and any(self._is_loop(here, period) for period in sorted(self._runs))

    def _suspect(self, here: int) -> None:
        """Looks where the last units were said before, behind another one: behind the same, it is no news."""
        texts, since = self._texts, here - _GRAM + 1
        before = self._grams[tuple(texts[since:])]
        for there in reversed(before):
            period = here - there
            if period > LONGEST:
                break
            is_new = there < _GRAM or texts[there - _GRAM] != texts[since - 1]
            if is_new and not self._is_implied(period, since):
                self._runs[period] = since
        before.append(here)

    def _is_implied(self, period: int, since: int) -> bool:
        """Whether a shorter passage goes in a circle already, all of it again and again within `period`.

        It is certain first, and ends with it.
        """
        return any(period % shorter == 0 and since - began >= period - shorter for shorter, began in self._runs.items())

    def _is_loop(self, here: int, period: int) -> bool:
        since = self._runs[period]
        times = (here + 1 - since) // period + 1
        if times < _FEWEST:
            return False
        weight = self._weights[here + 1] - self._weights[here + 1 - period]
        if times < needed(weight, is_patient=False):
            return False
        if times < needed(weight, is_patient=True) and self._is_patient(self._ends[here]):
            return False
        self._passage = since - period, period
        return True

    def _is_loop_at_limit(self, here: int, period: int) -> bool:
        since = self._runs[period]
        times = (here + 1 - since) // period + 1
        weight = self._weights[here + 1] - self._weights[here + 1 - period]
        if times < needed_at_limit(weight) or self._is_patient(self._ends[here]):
            return False
        self._passage = since - period, period
        return True

    def _is_patient(self, end: int) -> bool:
        """Whether the text is code or a table, up to `end`."""
        text = "".join(self._unread)
        read = len(text) - (self._length - end)
        self._layout.add(text[: max(0, read)])
        self._unread = [text[max(0, read) :]]
        return self._layout.is_code or self._layout.is_table


def _sensible(text: str, end: int) -> int | None:
    """Where the sentence or line ends whose last unit ends at `end`, with what closes behind it; None if none does."""
    behind = end
    while text[behind : behind + 1] in _CLOSING:
        behind += 1
    sign = text[max(0, behind - _CLOSING_SIGNS) : behind].rstrip("".join(_CLOSING))[-1:]
    is_end = (
        sign in _ENDING_ANYWHERE
        or (sign in _ENDING and not text[behind : behind + 1].strip())
        or _END_OF_LINE.match(text, behind)
    )
    return behind if is_end else None
