"""What leaves in front of a server share: its pace as seen from here, and how it says that something is too long."""

from __future__ import annotations

import re
import time

from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.errors import EngineError, too_long

_TOO_LONG = re.compile(
    r"context[ _](?:length|size|window)|input length limit|maximum model length|prompt (?:is )?too long"
    r"|max_(?:num_tokens|seq_len)\b",
    re.IGNORECASE,
)
_WINDOW = re.compile(
    r"(?:context length(?: is(?: only)?|:)|length limit|model length of|context size \(|max_(?:num_tokens|seq_len) \()"
    r"\s*(\d+)"
)
_PROMPT = re.compile(
    r"(?:prompt has|request has|passed|contains(?: at least)?|resulted in|too long:|request \(|\(length|length \()"
    r"\s*(\d+)|(\d+) in (?:the messages|your prompt)"
)
_PROMPT_AND_ANSWER = re.compile(r"requested (\d+) tokens")


class Pace:
    """How fast the words of one answer arrive."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._latest = 0.0

    def tick(self) -> None:
        """Words have arrived."""
        self._latest = time.monotonic()
        self._first = self._first or self._latest

    def tok_s(self, tokens: int) -> float | None:
        """Tokens a second from the first words to the latest; None where they came all at once."""
        took_s = self._latest - (self._first or self._latest)
        return (tokens - 1) / took_s if tokens > 1 and took_s > 0 else None


def overflow(said: str, *, kind: str = "", asked: int | None = None, window: int | None = None) -> EngineError | None:
    """The error that a server means by `said`, with both numbers where it tells them; None where it means another.

    `kind`, `asked`, `window`: its own code, tokens of the conversation and of the window, where it has fields for them.
    """
    if not _TOO_LONG.search(f"{kind} {said}"):
        return None
    asked = asked or _number(_PROMPT, said) or _number(_PROMPT_AND_ANSWER, said)
    window = window or _number(_WINDOW, said)
    if asked is None or window is None:
        message = f"the conversation is longer than the model's window: {said}"
    elif asked > window:
        return too_long(asked, window)
    else:
        message = f"the conversation has {asked} tokens, with its answer more than the model's window of {window}"
    return EngineError(Stage.LLM, message, code=ErrorCode.CONTEXT_LENGTH_EXCEEDED, limit=window, actual=asked)


def _number(pattern: re.Pattern[str], said: str) -> int | None:
    found = pattern.search(said)
    return int(found[found.lastindex or 0]) if found else None
