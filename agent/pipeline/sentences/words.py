"""Text cut into words as it arrives, character by character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from agent.pipeline.sentences.signs import CLOSING, DIVIDING, DIVIDING_ANYWHERE, ENDING, ENDING_ANYWHERE
from agent.speech_text.thoughts import TAGS

TAG = re.compile(rf"<(?P<end>/?)(?P<name>{TAGS})>", re.IGNORECASE)
"""What a model puts around that which is not for the listener."""

_MARKER = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{2,4})(?:[.)]|\.\))")
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f]")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_HAN_A_WORD = 2
_SPACELESS_A_WORD = 4
_LONGEST_RUN = 40
"""Of letters of a script without spaces: they come on in pieces of so many."""
_LONGEST_TAG = 16


@dataclass(frozen=True)
class Word:
    """What stands between two spaces, or up to a sign that needs no space after it."""

    text: str
    gap: str
    """The space after it."""
    opens_line: bool
    """Whether nothing but marks of a list, a heading or a quotation stands before it on its line."""

    @property
    def is_marker(self) -> bool:
        """Whether it numbers an item of a list."""
        return self.opens_line and bool(_MARKER.fullmatch(self.text[:16].strip("*_")))

    @property
    def is_spaceless(self) -> bool:
        """Whether it ends in a script that puts no spaces between words."""
        return bool(self.text) and is_spaceless(self.text[-1])

    @property
    def weight(self) -> float:
        """How much there is to say, in English words; 0 for mere signs and the number of an item."""
        if self.is_marker or not any(letter.isalnum() for letter in self.text):
            return 0
        han, spaceless = len(_HAN.findall(self.text)), len(_SPACELESS.findall(self.text))
        spaced = any(letter.isalnum() and not is_spaceless(letter) for letter in self.text)
        return han / _HAN_A_WORD + spaceless / _SPACELESS_A_WORD + spaced

    def __len__(self) -> int:
        return len(self.text) + len(self.gap)


def is_spaceless(letter: str) -> bool:
    """Whether `letter` is of a script that puts no spaces between words."""
    return bool(_HAN.match(letter) or _SPACELESS.match(letter))


class Words:
    """The words of a text; each is there as soon as the character after its space is, and comes with it."""

    def __init__(self) -> None:
        self._letters: list[str] = []
        self._gap: list[str] = []
        self._opens_line = True
        self._sign = ""
        """The last sign of a clause or sentence, where nothing but closing marks came since."""
        self._is_tag = False

    def feed(self, piece: str) -> Iterator[tuple[Word, str]]:
        """Takes on `piece`; gives the words it completes, each with the character that follows."""
        for char in piece:
            if char.isspace():
                self._gap.append(char)
                continue
            if self._is_complete_before(char):
                yield self._complete(), char
            self._add(char)

    def end(self) -> Iterator[tuple[Word, str]]:
        """The last word, if there is one."""
        if self._letters or self._gap:
            yield self._complete(), ""

    def _add(self, char: str) -> None:
        self._letters.append(char)
        if char in ENDING or char in DIVIDING:
            self._sign = char
        elif char not in CLOSING:
            self._sign = ""
        self._is_tag = (
            char == ">" and len(self._letters) <= _LONGEST_TAG and bool(TAG.fullmatch("".join(self._letters)))
        )

    def _is_complete_before(self, char: str) -> bool:
        if self._gap:
            return True
        if not self._letters:
            return False
        if char == "<" or self._is_tag:
            return True
        if self._sign and not (char in ENDING or char in DIVIDING or char in CLOSING):
            return self._sign in ENDING_ANYWHERE or self._sign in DIVIDING_ANYWHERE or is_spaceless(char)
        return (
            len(self._letters) >= _LONGEST_RUN
            and is_spaceless(self._letters[-1])
            and is_spaceless(char)
            and not unicodedata.category(char).startswith("M")
        )

    def _complete(self) -> Word:
        word = Word("".join(self._letters), "".join(self._gap), self._opens_line)
        is_mark = not any(letter.isalnum() for letter in word.text)
        self._opens_line = "\n" in word.gap or (self._opens_line and is_mark)
        self._letters, self._gap = [], []
        self._sign, self._is_tag = "", False
        return word
