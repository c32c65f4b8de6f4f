"""What a speech recogniser makes up where it hears nothing: phrases it has seen too often, and words in circles."""

from __future__ import annotations

import re

__all__ = ["goes_in_circles", "is_phantom"]

_LOOP = re.compile(r"(.{4,}?)\1{2,}", re.DOTALL)
_SIGNS = re.compile(r"[\W_]+")
_PHANTOMS = frozenset({
    "", "applause", "blank audio", "bye", "bye bye", "inaudible", "laughter", "music", "music playing", "no audio",
    "please subscribe", "silence", "subtitles by the amara org community", "thank you", "thank you for watching",
    "thank you so much for watching", "thank you very much", "thanks for watching", "you",
})  # fmt: skip


def is_phantom(text: str) -> bool:
    """Whether `text` is all that whisper's models are known to hear in silence: "Thanks for watching!", "(music)", "♪".

    People say some of it, too: it is for the caller to find out whether anybody spoke.
    """
    return _SIGNS.sub(" ", text).strip().lower() in _PHANTOMS


def goes_in_circles(text: str) -> bool:
    """Whether `text` says the same three times on end, as where a decoder is caught in a loop."""
    return _LOOP.search(f"{text} ") is not None  # so that the last time is like the others
