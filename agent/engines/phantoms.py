"""What a speech recogniser makes up where it hears nothing: phrases it has seen too often, and words in circles."""

from __future__ import annotations

import re

__all__ = ["goes_in_circles", "is_phantom"]

_THRICE = re.compile(r"(.{4,}?)\1{2,}", re.DOTALL)
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
    return " ".join(_words(text)) in _PHANTOMS


def goes_in_circles(text: str) -> bool:
    """Whether `text` says something three times on end, or everything twice, as where a decoder is caught in a loop."""
    words = _words(text)
    half = len(words) // 2
    if words and words[:half] == words[half:]:
        return True
    return _THRICE.search(f"{text} ") is not None  # so that the last time is like the others


def _words(text: str) -> list[str]:
    return _SIGNS.sub(" ", text).lower().split()
