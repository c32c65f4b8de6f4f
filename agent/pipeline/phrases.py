"""Speech that was made before, for sentences that come again; the least recently said are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from agent.audio import Audio


class Phrase(NamedTuple):
    """What decides how a sentence sounds."""

    engine: str
    voice: str | None
    speed: float
    text: str


class Phrases:
    """As many as fit into so many bytes of samples."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` 0 remembers nothing."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._said: OrderedDict[Phrase, Audio] = OrderedDict()

    def find(self, phrase: Phrase) -> Audio | None:
        """How it sounded the last time."""
        if phrase in self._said:
            self._said.move_to_end(phrase)
        return self._said.get(phrase)

    def remember(self, phrase: Phrase, audio: Audio) -> None:
        """Keeps it, and forgets others where there is no room; what is larger than a quarter of all is not kept."""
        if phrase in self._said or audio.samples.nbytes > self._max_bytes // 4:
            return
        self._said[phrase] = audio
        self._bytes += audio.samples.nbytes
        while self._bytes > self._max_bytes:
            _, forgotten = self._said.popitem(last=False)
            self._bytes -= forgotten.samples.nbytes
