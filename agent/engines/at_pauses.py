"""A clip that arrives, for an engine that hears whole clips only: it is heard at each pause, which may be its end."""

from __future__ import annotations

from collections.abc import Callable

from agent.audio import SILENCE_DBFS, Audio
from agent.engines.base import Transcript

__all__ = ["AtPauses"]

_PAUSE_S = 0.3
"""Much less than what ends a clip without an `end`, so that its words are there by then."""
_QUIET = 0.05  # of the loudest piece
_SILENCE = 10 ** (SILENCE_DBFS / 20)
_LONGEST_S = 15.0
"""A longer clip is heard once, at its end: to hear all of it at each pause would take longer than it lasts."""


class AtPauses:
    """What was said up to the last pause is known at once, where nobody has spoken since."""

    def __init__(self, hear: Callable[[Audio], Transcript]) -> None:
        """`hear` takes all of the clip so far."""
        self._hear = hear
        self._pieces: list[Audio] = []
        self._length_s = self._quiet_s = self._loudest = 0.0
        self._heard: Transcript | None = None

    def feed(self, audio: Audio) -> None:
        """Hears the clip so far, once a pause in it is long enough."""
        if not len(audio.samples):
            return
        self._pieces.append(audio)
        self._length_s += audio.duration_s
        loud = float(audio.samples.std())
        self._loudest = max(self._loudest, loud)
        if loud >= max(_SILENCE, _QUIET * self._loudest):
            self._quiet_s, self._heard = 0.0, None
            return
        self._quiet_s += audio.duration_s
        has_spoken = self._quiet_s < self._length_s
        if self._heard is None and has_spoken and self._quiet_s >= _PAUSE_S and self._length_s <= _LONGEST_S:
            self._heard = self._hear(Audio.joined(self._pieces))

    def finish(self) -> Transcript:
        """The words of all of it."""
        if self._heard is None:
            self._heard = self._hear(Audio.joined(self._pieces)) if self._pieces else Transcript("")
        return self._heard

    def close(self) -> None:
        """Forgets the clip."""
        self._pieces.clear()
