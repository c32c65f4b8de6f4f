"""Numbered pieces put in order: each counts once, and what is missing can be told."""

from __future__ import annotations

from itertools import islice

WINDOW = 1_024
"""Pieces that are kept ahead of one that is missing; what lies further ahead is missing, too, once that one came."""


class Pieces:
    """What has arrived of a sequence, and what has not."""

    def __init__(self) -> None:
        self.next = 0
        """The first that has not arrived."""
        self.known = 0
        """How many there are at least: one more than the highest number heard of."""
        self._ahead: dict[int, bytes] = {}

    def is_wanted(self, number: int) -> bool:
        """Whether that piece would be kept: it is neither here already nor too far ahead."""
        return self.next <= number < self.next + WINDOW and number not in self._ahead

    def add(self, number: int, data: bytes) -> list[bytes]:
        """Those whose turn it is now, in order; none where this one has to wait, or is not wanted."""
        self.expect(number + 1)
        if not self.is_wanted(number):
            return []
        self._ahead[number] = data
        ready: list[bytes] = []
        while self.next in self._ahead:
            ready.append(self._ahead.pop(self.next))
            self.next += 1
        return ready

    def expect(self, number: int) -> None:
        """There are that many, or more."""
        self.known = max(self.known, number)

    def missing(self, most: int) -> tuple[int, ...]:
        """The first `most` of those that have not arrived though later ones are known of."""
        return tuple(islice((number for number in range(self.next, self.known) if number not in self._ahead), most))
