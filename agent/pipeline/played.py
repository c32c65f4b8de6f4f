"""How far into an answer its listener came, when it was cut off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """A part of the answer that was spoken, or passed over because it cannot be."""

    text: str
    """As it stands in the answer, with the blanks that follow."""
    duration_ms: float = 0.0
    """How long it sounds; 0 where it was passed over [ms]."""
    last_chunk: int | None = None
    """The chunk that it ends in, where it went ahead."""


@dataclass(frozen=True)
class Played:
    """What a caller says was played."""

    ms: float | None = None
    """So much of the speech [ms]."""
    last_chunk: int | None = None
    """All chunks up to this one."""

    def of(self, said: Sequence[Said]) -> str:
        """The beginning of the answer that was heard, cut after a word."""
        if self.last_chunk is not None:
            return _up_to_chunk(said, self.last_chunk)
        return _up_to(said, self.ms or 0.0)


def _up_to_chunk(said: Sequence[Said], last_chunk: int) -> str:
    whole = 0
    for number, part in enumerate(said, 1):
        if part.last_chunk is not None and part.last_chunk <= last_chunk:
            whole = number
    return "".join(part.text for part in said[:whole]).strip()


def _up_to(said: Sequence[Said], ms: float) -> str:
    heard: list[str] = []
    for part in said:
        if part.duration_ms > ms:
            heard.append(_words(part.text, ms / part.duration_ms))
            break
        heard.append(part.text)
        ms -= part.duration_ms
    return "".join(heard).strip()


def _words(text: str, share: float) -> str:
    """The words of `text` that are over after `share` of it; a word is as long as it is written."""
    reached = int(len(text) * share)
    if reached >= len(text) or text[reached].isspace():
        return text[:reached]
    return text[: max(text.rfind(blank, 0, reached) for blank in " \n\t") + 1]
