"""What the voice of one language says for what is not a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _unread(text: str) -> str:
    return text


def _item(number: str) -> str:
    return f"{number}."


@dataclass(frozen=True)
class FormulaWords:
    """How a formula is read out."""

    over: str
    """Between what is above and what is below the line."""
    root: str
    """Before what stands below the sign of a root."""
    power: str
    """Between a base and its exponent."""
    powers: Mapping[str, str]
    """Exponents that have a word of their own, said after the base."""
    sums: Mapping[str, str]
    """LaTeX's commands that have bounds: sums, integrals, products."""
    bounds: str
    """What follows them, with {first} and {last} where the bounds belong."""
    commands: Mapping[str, str]
    """Words of LaTeX's commands; a command that is in no table is said by its name."""


@dataclass(frozen=True)
class Language:
    """The words of a language; by default none: the signs are left to the engine."""

    code: str = ""
    """Said in place of a block of code."""
    done: str = ""
    """Said after a task that is ticked off."""
    yes: str = ""
    """A tick in a table."""
    no: str = ""
    """A cross in a table."""
    dot: str = ""
    """The dot in a name: of a host, of a file."""
    at: str = ""
    """The sign in an e-mail address."""
    slash: str = ""
    """Between the folders of a path."""
    dash: str = ""
    """Before the option of a command."""
    signs: Mapping[str, str] = field(default_factory=dict)
    """Signs that stand by themselves."""
    formulas: FormulaWords | None = None
    """None: a formula's signs are left as they are."""
    months: frozenset[str] = frozenset()
    """Words before which a number with a stop, at the start of a line, is a day and not the number of an item."""
    item: Callable[[str], str] = _item
    """The number of a list's item."""
    read: Callable[[str], str] = _unread
    """A line in which numbers, units, dates, money and abbreviations have become words."""
