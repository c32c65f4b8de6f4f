"""How fast an answer came, in the words of MLC."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent.engines.base import Delta


@dataclass(frozen=True)
class Rates:
    """Tokens a second, of reading and of writing; 0 where nothing was."""

    prefill_tok_s: float = 0.0
    decode_tok_s: float = 0.0

    def __str__(self) -> str:
        return f"prefill: {self.prefill_tok_s:.1f} tok/s, decode: {self.decode_tok_s:.1f} tok/s"


class Stopwatch:
    """Takes the pieces of an answer as they come; what the engine itself measured, it believes."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._first: float | None = None
        self._last = self._start
        self.pieces = 0
        """How many there were."""
        self._end = Delta()

    def take(self, delta: Delta) -> None:
        """The next piece."""
        self._last = time.monotonic()
        if delta.text:
            self._first = self._first or self._last
            self.pieces += 1
        self._end = delta

    @property
    def rates(self) -> Rates:
        """Of what was taken up to now."""
        first = self._first or self._last
        written = self._end.completion_tokens or self.pieces
        return Rates(
            self._end.prefill_tok_s or _rate(self._end.prompt_tokens, first - self._start),
            self._end.decode_tok_s or _rate(written - 1, self._last - first),
        )


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if tokens > 0 and seconds > 0 else 0.0
