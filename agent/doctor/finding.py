"""What a check found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_LONGEST_CHARS = 1_000
_COMMAND = re.compile(r"`([^`]+)`")


class Level(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as it should, or something that was not asked for is missing."""
    FAIL = "fail"
    """What the settings ask for cannot work."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; whatever is not ok says what to do about it."""

    name: str
    """What was looked at."""
    level: Level
    message: str
    """What was found; one line."""
    fix: str | None = None
    """A command, or a setting, that would mend it."""


def ok(name: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(name, Level.OK, one_line(message))


def warn(name: str, message: str, fix: str) -> Finding:
    """It works, but not as it should."""
    return Finding(name, Level.WARN, one_line(message), fix)


def fail(name: str, message: str, fix: str) -> Finding:
    """What the settings ask for cannot work."""
    return Finding(name, Level.FAIL, one_line(message), fix)


def bad(name: str, message: str, fix: str, *, asked: bool) -> Finding:
    """A failure where the settings ask for it, a warning otherwise."""
    return fail(name, message, fix) if asked else warn(name, message, fix)


def command_in(text: str) -> str | None:
    """The first command that a message names, between backquotes."""
    found = _COMMAND.search(text)
    return found[1] if found else None


def one_line(text: object) -> str:
    """`text`, mostly of an error, on one line of bounded length."""
    return " ".join(str(text).split())[:_LONGEST_CHARS]
