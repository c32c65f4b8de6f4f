"""How well words were heard."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> list[str]:
    """The words of `text`, without signs, and without regard to case."""
    return _WORD.findall(text.casefold().replace("\u2019", "'"))


def word_errors(said: str, heard: str) -> int:
    """Words to insert, drop or replace to make one of the other."""
    other = words(heard)
    row = list(range(len(other) + 1))
    for number, word in enumerate(words(said), 1):
        before, row[0] = row[0], number
        for place, candidate in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != candidate))
    return row[-1]
