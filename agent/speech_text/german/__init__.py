"""German: what stands for words, and in which order it is read."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.german.abbreviations import said_abbreviations
from agent.speech_text.german.dates import MONTHS, said_dates
from agent.speech_text.german.numbers import prepared, said_numbers, whole
from agent.speech_text.german.quantities import said_quantities
from agent.speech_text.language import FormulaWords, Language

__all__ = ["german"]

_DIGIT = re.compile("[0-9]")
_SIGNS = MappingProxyType({
    "&": "und", "+": "plus", "=": "gleich", "≈": "ungefähr", "±": "plus minus", "×": "mal", "÷": "geteilt durch",
    "−": "minus", "≤": "höchstens", "≥": "mindestens", "≠": "ungleich", "<": "kleiner als", ">": "größer als",
    "∞": "unendlich", "√": "Wurzel aus", "∑": "Summe von", "∫": "Integral von", "∈": "in", "%": "Prozent",
    "‰": "Promille", "°": "Grad", "§": "Paragraf", "@": "at", "^": "hoch", "$": "Dollar", "€": "Euro", "£": "Pfund",
    "π": "Pi", "α": "Alpha", "β": "Beta", "γ": "Gamma", "λ": "Lambda", "μ": "My", "Δ": "Delta", "Ω": "Ohm",
})  # fmt: skip
_SUMS = MappingProxyType({"sum": "die Summe", "int": "das Integral", "prod": "das Produkt"})
_POWERS = MappingProxyType({"2": "Quadrat"})


def german() -> Language:
    """German, as it is said in all its countries."""
    return Language(
        code="Siehe den Code.",
        done="erledigt",
        yes="ja",
        no="nein",
        dot="Punkt",
        at="at",
        slash="Schrägstrich",
        dash="Minus",
        signs=_SIGNS,
        formulas=FormulaWords(
            over="durch",
            root="Wurzel aus",
            power="hoch",
            powers=_POWERS,
            sums=_SUMS,
            bounds="von {first} bis {last} über",
            commands={},
        ),
        months=frozenset(MONTHS),
        item=lambda number: f"{whole(number).capitalize()},",
        read=_read,
    )


def _read(text: str) -> str:
    said = said_abbreviations(text)
    if not _DIGIT.search(said):
        return said
    return said_numbers(said_quantities(prepared(said_dates(said))))
