"""An answer as its model writes it, and as it is to be shown."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Protocol

from agent.pipeline.guards.loops import Loops
from agent.pipeline.guards.role_markers import RoleMarkers
from agent.pipeline.guards.stop_strings import StopStrings


class Ending(str, Enum):
    """What ended an answer before its model did."""

    STOP_STRING = "stop_string"
    """It came to one: `finish_reason: stop`."""
    ROLE_MARKER = "role_marker"
    """Another turn began: `finish_reason: stop`."""
    LOOP = "loop"
    """It went in a circle: `finish_reason: loop`."""
    TIME = "time"
    """It took too long: `finish_reason: deadline`."""


@dataclass(frozen=True)
class GuardSettings:
    """What is looked for in answers; with all of it off, they are shown as they are written."""

    stop_strings: bool = True
    """Those of the request; engines look for them, too, but not all do, or not across their pieces."""
    role_markers: bool = True
    """`User:` at the beginning of a line, `<|im_start|>`, `[INST]`: the other side's turn is not the model's."""
    loops: bool = True
    """A passage that is said again and again, also where that was asked for."""
    longest_s: float = 0.0
    """How long an answer may be written [s]; 0: as long as it takes."""


class _Watch(Protocol):
    @property
    def is_over(self) -> bool: ...

    def feed(self, piece: str) -> str: ...

    def end(self, *, at_limit: bool) -> str: ...


class Guard:
    """Watches one answer: `feed` it piece by piece, and `end` it, whether the model did or `ending` says so.

    What `feed` and `end` give is what may be shown; together it is the same however the answer was cut into pieces,
    and the beginning of the answer, behind a marker it opens with. Only what may yet become a stop string or a marker
    is held back. `text` is what the answer comes to: the same, except after a loop. A loop is certain only after some
    repetitions, which were shown by then and cannot be taken back: showing stops there, while `text` ends earlier,
    behind the first time the passage is said.
    """

    def __init__(self, settings: GuardSettings, stop: Iterable[str] = ()) -> None:
        """`stop`: the answer ends before any of these."""
        self._loops = Loops() if settings.loops else None
        self._watches: list[tuple[Ending, _Watch]] = []
        if settings.stop_strings:
            self._watches.append((Ending.STOP_STRING, StopStrings(stop)))
        if settings.role_markers:
            self._watches.append((Ending.ROLE_MARKER, RoleMarkers()))
        if self._loops:
            self._watches.append((Ending.LOOP, self._loops))
        self._shown: list[str] = []
        self._until = time.monotonic() + settings.longest_s if settings.longest_s else inf
        self.ending: Ending | None = None
        """What ended the answer; nothing that comes after it is shown."""

    @property
    def text(self) -> str:
        """The answer so far; once it has ended, all of it."""
        text = "".join(self._shown)
        return self._loops.without_repetition(text) if self._loops else text

    def feed(self, piece: str) -> str:
        """Takes on what the model wrote next; gives what of it may be shown, and of what was held back."""
        if self.ending:
            return ""
        shown = self._take(piece)
        if not self.ending and time.monotonic() > self._until:
            shown += self.end()
            self.ending = self.ending or Ending.TIME
        return shown

    def end(self, *, at_limit: bool = False) -> str:
        """The model writes no more: what was held back, where it turned out harmless.

        `at_limit`: because the answer came to its longest, `finish_reason: length`.
        """
        return self._take("", is_last=True, at_limit=at_limit) if self.ending is None else ""

    def _take(self, piece: str, *, is_last: bool = False, at_limit: bool = False) -> str:
        """`piece` passes one watch after the other; where one ends the answer, one behind it may end it earlier."""
        for ending, watch in self._watches:
            piece = watch.feed(piece)
            if is_last and not watch.is_over:
                piece += watch.end(at_limit=at_limit)
            if watch.is_over:
                self.ending, is_last, at_limit = ending, True, False
        self._shown.append(piece)
        return piece
