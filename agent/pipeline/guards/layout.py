"""What the lines of a text are: code, a table, an entry of a listing."""

from __future__ import annotations

import re

_FENCES = ("```", "~~~")
_ENTRY = re.compile(
    r"\s*(?!(?:user|human|assistant)\b)[\w./-]+(?: [\w./-]+)?: ?\S(?:.{0,40}[^.?!:;,])?\s*", re.IGNORECASE
)
_KEPT = 80
"""Of a line [characters]: nothing here looks further."""


class Layout:
    """The line in which a text is at the moment, and the one before it."""

    def __init__(self) -> None:
        self._line = ""
        self._before = ""
        self._backticks = 0
        self._fence = ""

    @property
    def opens_line(self) -> bool:
        """Whether the line is blank so far."""
        return not self._line or self._line.isspace()

    @property
    def indent(self) -> int:
        """Blanks that the line begins with, where there is nothing else yet."""
        return len(self._line)

    @property
    def is_code(self) -> bool:
        """Whether the text is between fences or backticks."""
        return bool(self._fence) or self._backticks % 2 == 1

    @property
    def is_table(self) -> bool:
        """Whether the line is a row of a table."""
        return self._line.lstrip().startswith("|")

    @property
    def follows_entry(self) -> bool:
        """Whether the line before was an entry of a listing: `Host: 10.0.0.5`."""
        return bool(_ENTRY.fullmatch(self._before))

    def add(self, text: str) -> None:
        """The text goes on with `text`."""
        first, *lines = text.split("\n")
        self._grow(first)
        for line in lines:
            self._next()
            self._grow(line)

    def _grow(self, text: str) -> None:
        if "`" in text:
            self._backticks += text.count("`")
        if len(self._line) < _KEPT:
            self._line += text[:_KEPT]

    def _next(self) -> None:
        line = self._line.strip()
        if self._fence:
            if line.startswith(self._fence) and not line.strip(self._fence[0]):
                self._fence = ""
        elif line.startswith(_FENCES):
            self._fence = line[:3]
        self._before, self._line, self._backticks = self._line, "", 0
