"""English: what stands for words, and in which order it is read."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.speech_text.english.abbreviations import said_abbreviations, said_initials
from agent.speech_text.english.dates import said_dates
from agent.speech_text.english.maths import applied, said_maths
from agent.speech_text.english.money import said_money
from agent.speech_text.english.numbers import said_numbers, whole
from agent.speech_text.english.phones import said_phones
from agent.speech_text.english.signs import COMMANDS, POWERS, SIGNS, SUMS
from agent.speech_text.english.times import said_times
from agent.speech_text.english.units import said_quantities, said_units
from agent.speech_text.language import FormulaWords, Language

__all__ = ["english"]

_DIGIT = re.compile("[0-9½⅓⅔¼¾⅛⅜⅝⅞⁰¹²³⁴-⁹₀-₉]")


def english(*, day_first: bool) -> Language:
    """English as in Britain, where 3/4/2026 is in April (`day_first`), or as in America, where it is in March."""
    return Language(
        code="See the code.",
        done="done",
        yes="yes",
        no="no",
        dot="dot",
        at="at",
        slash="slash",
        dash="dash",
        signs=SIGNS,
        formulas=FormulaWords(
            over="over",
            root="the square root of",
            power="to the power of",
            powers=POWERS,
            sums=SUMS,
            bounds="from {first} to {last} of",
            commands=COMMANDS,
        ),
        item=lambda number: f"{whole(number).capitalize()},",
        read=_reader(day_first=day_first),
    )


def _reader(*, day_first: bool) -> Callable[[str], str]:
    def read(text: str) -> str:
        said = applied(said_abbreviations(text))
        if _DIGIT.search(said):
            said = said_dates(said_phones(said), day_first=day_first)
            said = said_quantities(said_money(said_times(said)))
            said = said_numbers(said_maths(said))
        return said_initials(said_units(said))

    return read
