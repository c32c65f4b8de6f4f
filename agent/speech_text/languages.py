"""The languages that have words of their own here, by IETF tag."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from agent.speech_text.english import english
from agent.speech_text.german import german
from agent.speech_text.language import Language
from agent.speech_text.romance import french, italian, spanish

_LAST_LATIN = "\u024f"
_OTHER = Language()
_BY_TAG: Mapping[str, Language] = MappingProxyType(
    {
        "en": english(day_first=False),
        **{f"en-{region}": english(day_first=True) for region in ("au", "gb", "ie", "in", "nz", "uk", "za")},
        "de": german(),
        "fr": french(),
        "es": spanish(),
        "it": italian(),
    }
)


def language_of(tag: str | None, text: str) -> Language:
    """The words for `tag`, or, without one, for `text`: English if its letters are Latin; none for other languages."""
    if tag and tag != "auto":
        return _by_tag(tag)
    letters = [character for character in text if character.isalpha()]
    foreign = sum(character > _LAST_LATIN for character in letters)
    return _OTHER if 2 * foreign > len(letters) else _BY_TAG["en"]


@lru_cache(maxsize=64)
def _by_tag(tag: str) -> Language:
    parts = tag.lower().replace("_", "-").split("-")
    return _BY_TAG.get("-".join(parts[:2])) or _BY_TAG.get(parts[0], _OTHER)
