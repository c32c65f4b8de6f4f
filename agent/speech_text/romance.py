"""French, Spanish and Italian: numbers that have one form whatever is counted; the others are left to the engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType

from agent.speech_text import numerals
from agent.speech_text.language import Language

_NUMBER = re.compile(
    r"(?<![\w.,/:^-])(?P<whole>[0-9]{1,3}(?:[. ][0-9]{3}){1,4}(?![0-9])|[0-9]{1,15})(?:,(?P<fraction>[0-9]{1,12}))?"
    r"(?P<percent>\s?%)?(?![\w/:°²³$€£-]|[.,][0-9]|\s?[€$£°])"
)
_GROUPED = re.compile(r"[. ]")
_LEADING_ZERO = re.compile("0[0-9]")


def french() -> Language:
    """French."""
    return Language(
        code="Voir le code.",
        done="fait",
        yes="oui",
        no="non",
        dot="point",
        at="arobase",
        slash="barre",
        dash="tiret",
        signs=MappingProxyType({"&": "et", "+": "plus", "=": "égale", "×": "fois", "−": "moins", "≈": "environ"}),
        read=_reader("fr", "virgule", "pour cent", lambda number: number % 10 != 1),
    )


def spanish() -> Language:
    """Spanish."""
    return Language(
        code="Ver el código.",
        done="hecho",
        yes="sí",
        no="no",
        dot="punto",
        at="arroba",
        slash="barra",
        dash="guion",
        signs=MappingProxyType({"&": "y", "+": "más", "=": "igual a", "×": "por", "−": "menos", "≈": "unos"}),
        read=_reader("es", "coma", "por ciento", lambda number: number % 10 != 1 and number % 1000 < 200),  # noqa: PLR2004 - doscientos or doscientas
    )


def italian() -> Language:
    """Italian."""
    return Language(
        code="Vedi il codice.",
        done="fatto",
        yes="sì",
        no="no",
        dot="punto",
        at="chiocciola",
        slash="barra",
        dash="trattino",
        signs=MappingProxyType({"&": "e", "+": "più", "=": "uguale a", "×": "per", "−": "meno", "≈": "circa"}),
        read=_reader("it", "virgola", "per cento", lambda number: number != 1),
    )


def _reader(language: str, comma: str, percent: str, has_one_form: Callable[[int], bool]) -> Callable[[str], str]:
    def said(found: re.Match[str]) -> str:
        digits = _GROUPED.sub("", found["whole"])
        fraction = found["fraction"]
        is_certain = len(digits) <= numerals.LONGEST and not _LEADING_ZERO.match(digits)
        if not is_certain or not (fraction or found["percent"] or has_one_form(int(digits))):
            return found[0]
        words = numerals.cardinal(int(digits), language)
        if fraction:
            words += f" {comma} {numerals.each(fraction, language)}"
        return f"{words} {percent}" if found["percent"] else words

    return lambda text: _NUMBER.sub(said, text)
