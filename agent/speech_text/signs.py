"""Signs that are neither letters nor digits: pictures go, arrows are pauses, the rest has a word in the language."""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType

from agent.speech_text.language import Language

_SMILE = re.compile(r"(?<!\S)(?:[:;=]['^-]?[)(DPp](?=[\s.,!?]|\Z)|<3(?=[\s.!]*\Z))")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")
_ALIKE = str.maketrans({
    **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2010\u2011", "-"),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    "℃": "°C", "℉": "°F", "º": "°", "µ": "μ", "Ω": "Ω", "№": "No. ", "⁄": "/", "–": "–",
})  # fmt: skip
_GROUPED = re.compile("(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_ARROW = re.compile(r"<?[-=]{1,2}>|[←-⇿➔-➾⟵-⟿]")
_BETWEEN_NUMBERS = re.compile(r"(?<=[0-9%]) {0,2}→ {0,2}(?=[$€£]?[0-9])")
_COMPARED = re.compile(r"<=|>=|!=|={2,3}")
_COMPARISON = MappingProxyType({"<=": " ≤ ", ">=": " ≥ ", "!=": " ≠ "})
_ANGLED = re.compile(r"(?<!\w)<([^\W\d][\w .-]{0,60})>")
_JOINER_OF_PICTURES = re.compile("(?<!\\S)[\u200c\u200d]+|[\u200c\u200d]+(?!\\S)")
_PAUSE = re.compile(r"\s[•·|‖]\s|[•‣▪●→]|(?<=[^\W\d])\s>\s(?=[^\W\d_a-z]\w)")
_KEPT = frozenset("°№→©®™")
_SILENT = re.compile(r"[*_`#|\\{}^~<>\"©®™¶†‡″]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HASHTAG = re.compile(r"(?<!\w)#([^\W\d]\w*)")


def without_pictures(text: str, words: Language) -> str:
    """`text` without emoji and with one form of what has several: quotes, spaces, arrows, comparisons."""
    text = _SMILE.sub(" ", text)
    plain = text if text.isascii() else _GROUPED.sub("", _KEYCAP.sub(r"\1", text)).translate(_ALIKE)
    plain = _COMPARED.sub(lambda found: _COMPARISON.get(found[0], " = "), _ARROW.sub(" → ", plain))
    plain = _BETWEEN_NUMBERS.sub("–", plain)
    if words.yes:
        plain = re.sub(r"(?<=: )[✅✔✓☑]", words.yes, plain)
        plain = re.sub(r"(?<=: )[❌✗✘✖]", words.no, plain)
    return plain if plain.isascii() else _JOINER_OF_PICTURES.sub("", "".join(map(_pictured, plain)))


def _pictured(character: str) -> str:
    if character.isascii() or character in _KEPT:
        return character
    category = unicodedata.category(character)
    if category == "So" or category in {"Sk", "Cs", "Co", "Cn", "Cc"} or character == "\ufe0f":
        return " "
    return "" if category == "Me" else character


def said_signs(text: str, words: Language) -> str:
    """`text` in which each sign that the language has a word for is that word; signs of layout are gone."""
    said = _HASHTAG.sub(lambda found: _HUMP.sub(" ", found[1]), text)
    said = _PAUSE.sub(", ", _ANGLED.sub(r"\1", said))
    if words.signs:
        said = "".join(f" {words.signs[sign]} " if sign in words.signs else sign for sign in said)
    return _SILENT.sub(" ", said)
