"""Decides where an answer that is being written is cut, as soon as it can be known."""

from __future__ import annotations

from collections.abc import Iterable

from agent.pipeline.sentences.breath import may_breathe
from agent.pipeline.sentences.ends import Pause, Place, begins_sentence, pause_after
from agent.pipeline.sentences.layout import Block, Line
from agent.pipeline.sentences.words import Word, Words

_ENOUGH = 3
"""What is said in one go: less is joined with the next sentence [words]."""
_LONG = 250
"""A sentence so long is cut at the end of its last clause [characters]."""
_TOO_LONG = 300
"""It is cut anywhere between two words [characters]."""


class Sentences:
    """What of an answer can be spoken while the rest is still being written.

    All pieces together are the answer, to the letter; the space after a sentence stays with it. How the answer arrives
    makes no difference to where it is cut. A piece has something to say: three words or more, or the whole of a line.
    Code in fences and what a model thinks in tags are pieces of their own. No other piece has more than 300 characters,
    unless it is one word.

    The listener waits for the first piece, so it is there early: any sentence will do ("Yes."), else a clause of three
    words, else some words before a conjunction, a preposition or an article. This goes on until three words are out.
    """

    def __init__(self, *, first_words: int = 8) -> None:
        """`first_words`: how many words of a first sentence without any mark are waited for, more or less."""
        self._first_words = first_words
        self._words = Words()
        self._line = Line()
        self._block: Block | None = None
        self._piece = _Piece()
        self._last = Word("", "", opens_line=True)
        self._said = 0.0
        """So far [words]; code and thoughts are not said."""
        self._begins = True
        """The next word begins a sentence."""
        self._is_perhaps_over = False
        """The next word tells whether the piece ends before it."""
        self._has_capitals = False
        self._ready: list[str] = []

    def feed(self, piece: str) -> list[str]:
        """Takes on what was written next; gives what can be spoken now, in order."""
        for word, following in self._words.feed(piece):
            self._take(word, following)
        return self._collect()

    def end(self) -> list[str]:
        """The answer is written: what is left of it."""
        for word, following in self._words.end():
            self._take(word, following)
        self._cut()
        return self._collect()

    def _collect(self) -> list[str]:
        ready, self._ready = self._ready, []
        return ready

    def _take(self, word: Word, following: str) -> None:
        if self._block:
            self._continue_block(self._block, word)
        elif not self._line.is_code and (block := Block.begun_by(word)):
            self._begin_block(block, word)
        else:
            self._say(word, following)
        self._last = word

    def _begin_block(self, block: Block, word: Word) -> None:
        if block.stands_alone and not self._piece.is_blank:
            self._cut()
        self._is_perhaps_over = False
        self._block = block
        self._piece.add(word)

    def _continue_block(self, block: Block, word: Word) -> None:
        self._piece.add(word)
        if not block.ends_with(word):
            return
        self._block = None
        if block.stands_alone or "\n" in word.gap:
            self._line = Line()
            self._piece.weight = 0.0
            self._cut()

    def _say(self, word: Word, following: str) -> None:
        if self._ends_before(word):
            self._cut()
        self._is_perhaps_over = False
        self._piece.add(word)
        self._line.add(word)
        self._has_capitals = self._has_capitals or word.text[:1].isupper()
        pause = pause_after(word, following, self._place())
        self._begins = pause in {Pause.SENTENCE, Pause.LINE}
        self._pause(pause)
        if self._piece.length > _LONG and self._piece.clause:
            self._cut(self._piece.clause)
        if pause is Pause.LINE:
            self._line = Line()
        elif "\n" in word.gap:
            self._line.length = 0

    def _place(self) -> Place:
        return Place(
            before=self._last.text,
            begins=self._begins,
            is_quoted=self._line.is_quoted,
            line_length=self._line.length,
            has_capitals=self._has_capitals,
        )

    def _pause(self, pause: Pause) -> None:
        if pause is Pause.LINE:
            if self._piece.weight:
                self._cut()
        elif self._line.is_bound:
            return
        elif pause is Pause.SENTENCE:
            if self._is_enough():
                self._cut()
        elif pause is Pause.PERHAPS:
            self._is_perhaps_over = self._is_enough()
        elif pause is Pause.CLAUSE and not self._line.is_open and self._piece.weight >= _ENOUGH:
            if self._is_awaited:
                self._cut()
            else:
                self._piece.mark_clause()

    @property
    def _is_awaited(self) -> bool:
        """Whether the listener has heard next to nothing yet."""
        return self._said < _ENOUGH

    def _is_enough(self) -> bool:
        return self._piece.weight >= _ENOUGH or self._piece.weight > self._said == 0

    def _ends_before(self, word: Word) -> bool:
        if self._piece.is_blank or not (self._last.gap or self._last.is_spaceless):
            return False
        if self._is_perhaps_over and begins_sentence(self._last.text, word.text):
            return True
        if self._piece.length + len(word.text) > _TOO_LONG:
            return True
        return self._is_awaited and not self._line.is_open and self._breathes_before(word)

    def _breathes_before(self, word: Word) -> bool:
        return may_breathe(self._last.text, word.text, beyond=self._piece.weight - self._first_words)

    def _cut(self, words: int | None = None) -> None:
        """The piece, or its first `words`, can be spoken."""
        text, left = self._piece.cut(words)
        if text:
            self._ready.append(text)
        self._said += self._piece.weight - left.weight
        self._piece = left


class _Piece:
    """What was not cut off yet."""

    def __init__(self, words: Iterable[Word] = ()) -> None:
        self.length = 0
        """[characters]"""
        self.weight = 0.0
        """How much there is to say [words]."""
        self.clause = 0
        """How many words there are up to the end of the last clause; 0 for none."""
        self._words: list[Word] = []
        for word in words:
            self.add(word)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing but space."""
        return not any(word.text for word in self._words[:2])

    def add(self, word: Word) -> None:
        """`word` is the next one."""
        self._words.append(word)
        self.length += len(word)
        self.weight += word.weight

    def mark_clause(self) -> None:
        """A clause ends here."""
        self.clause = len(self._words)

    def cut(self, words: int | None) -> tuple[str, _Piece]:
        """The text of its first `words`, or of all, and what is left."""
        gone, left = (self._words, []) if words is None else (self._words[:words], self._words[words:])
        return "".join(word.text + word.gap for word in gone), _Piece(left)
