"""How an answer is laid out: the line a word stands on with what is open on it, and the blocks that are never cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.pipeline.sentences.signs import CLOSED_BRACKETS, OPEN_BRACKETS, PAIRED
from agent.pipeline.sentences.words import TAG, Word

_FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})(?![`~])[^`]*")
_BETWEEN_WORDS = "```"
_PAIRED = re.compile(PAIRED)


@dataclass(frozen=True)
class Block:
    """Code, or a model's thoughts: it stays in one piece up to its end."""

    end: str
    """A fence's marks, or the tag's name."""
    stands_alone: bool = True
    """Whether it began on a line of its own, and so ends on one."""

    @classmethod
    def begun_by(cls, word: Word) -> Block | None:
        """The block that begins with `word`."""
        if (tag := TAG.fullmatch(word.text)) and not tag["end"]:
            return cls(tag["name"].casefold())
        if word.opens_line and (fence := _FENCE.fullmatch(word.text)):
            return cls(fence["marks"])
        if word.text.count(_BETWEEN_WORDS) % 2:
            return cls(_BETWEEN_WORDS, stands_alone=False)
        return None

    def ends_with(self, word: Word) -> bool:
        """Whether `word` is its last one."""
        if not self.stands_alone:
            return word.text.count(self.end) % 2 == 1
        if self.end[0] not in "`~":
            tag = TAG.fullmatch(word.text)
            return tag is not None and bool(tag["end"]) and tag["name"].casefold() == self.end
        return word.opens_line and len(word.text) >= len(self.end) and not word.text.strip(self.end[0])


class Line:
    """The line so far: what is open on it, and whether it may be cut at all."""

    def __init__(self) -> None:
        self.length = 0
        """[characters]"""
        self.is_whole = False
        """A heading or a table's row: it is said in one go."""
        self.is_quoted = False
        """A quotation is open."""
        self.is_code = False
        """A piece of code is open."""
        self._is_bold = False
        self._depth = 0
        self._links = 0

    def add(self, word: Word) -> None:
        """`word` is the next one on it."""
        self.length += len(word)
        if word.opens_line and (word.text.startswith("|") or (word.text and not word.text.strip("#"))):
            self.is_whole = True
        for mark in _PAIRED.findall(word.text):
            self._pair(mark)

    @property
    def is_bound(self) -> bool:
        """Whether not even the end of a sentence counts: in code, links, headings and tables."""
        return self.is_whole or self.is_code or self._links > 0

    @property
    def is_open(self) -> bool:
        """Whether brackets, a quotation or bold letters are open: a breath would be heard as an end."""
        return self.is_bound or self.is_quoted or self._is_bold or self._depth > 0

    def _pair(self, mark: str) -> None:
        if mark[0] == "`":
            self.is_code = not self.is_code
        elif self.is_code:
            return
        elif mark == "**":
            self._is_bold = not self._is_bold
        elif mark in OPEN_BRACKETS:
            self._depth += 1
            self._links += mark == "["
        elif mark in CLOSED_BRACKETS:
            self._depth = max(0, self._depth - 1)
            self._links = max(0, self._links - (mark == "]"))
        else:
            self.is_quoted = mark == "„" or (mark != "”" and not self.is_quoted)
