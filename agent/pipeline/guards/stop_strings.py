"""Stop strings, for engines that do not look for them, or not across their pieces."""

from __future__ import annotations

from collections.abc import Iterable


class StopStrings:
    """Lets a text through up to the first of some strings; of two that overlap, the one that is complete first."""

    def __init__(self, strings: Iterable[str]) -> None:
        self._strings = tuple(string for string in strings if string)
        self._beginnings = frozenset(string[:length] for string in self._strings for length in range(1, len(string)))
        self._longest = max(map(len, self._strings), default=0)
        self._held = ""
        self.is_over = False
        """Whether one was found."""

    def feed(self, piece: str) -> str:
        """Takes on `piece`; gives what is in none of them, for sure."""
        if not self._strings:
            return piece
        text = self._held + piece
        for string in self._strings:
            if string in text:
                return self._finish(text)
        safe = self._safe(text)
        self._held = text[safe:]
        return text[:safe]

    def end(self, *, at_limit: bool = False) -> str:
        """What was held back: it became none of them."""
        held, self._held = self._held, ""
        return held

    def _finish(self, text: str) -> str:
        self.is_over = True
        self._held = ""
        ends = [(start + len(string), start) for string in self._strings if (start := text.find(string)) >= 0]
        return text[: min(ends)[1]]

    def _safe(self, text: str) -> int:
        """Where that begins which may yet become one of them."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start:] in self._beginnings:
                return start
        return len(text)
