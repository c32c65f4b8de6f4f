"""Where a speaker draws breath in a sentence that has no mark to show it."""

from __future__ import annotations

from agent.pipeline.sentences.signs import ENDING
from agent.pipeline.sentences.vocabulary import CONJUNCTIONS, LEANING, PHRASES, plain, stem

_SOONER = 3
"""By how much a conjunction is good enough sooner, and any other word later, than a preposition [words]."""


def may_breathe(last: str, word: str, *, beyond: float) -> bool:
    """Whether one may draw breath between `last` and `word`, where `beyond` more words are out than one would wait for.

    Never after a number, an abbreviation or a word that leans on the next one, nor within a name.
    """
    if beyond < -_SOONER or last[-1:].isdecimal() or last[-1:] in ENDING or stem(plain(last)) in LEANING:
        return False
    name = word.casefold()
    if name in CONJUNCTIONS:
        return True
    if name in PHRASES:
        return beyond >= 0
    is_name = last[:1].isupper() and word[:1].isupper()
    return beyond > _SOONER and word[:1].isalpha() and not is_name
