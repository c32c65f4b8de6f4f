"""What a run tells a caller who asked for it while it goes on, in order, before the terminal reply."""

from __future__ import annotations

from enum import Enum

from agent.contract.wire import WireModel


class EventType(str, Enum):
    """What happened."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    STT_START = "stt_start"
    STT_END = "stt_end"
    LLM_START = "llm_start"
    TOKEN = "token"  # noqa: S105 - a piece of text, not a secret
    LLM_END = "llm_end"
    TTS_START = "tts_start"
    TTS_END = "tts_end"


class Event(WireModel):
    """One thing that happened in a run."""

    type: EventType
    """What happened."""
    id: str
    """The request's id."""
    seq: int
    """Counts the run's events from 0."""
    t_ms: float
    """Since the request arrived [ms]."""
    position: int | None = None
    """With `queued`: requests that will begin before this one."""
    eta_ms: int | None = None
    """With `queued`: when it will begin, as far as can be told [ms]."""
    text: str | None = None
    """What was heard (`stt_end`), or the whole answer (`llm_end`)."""
    language: str | None = None
    """With `stt_end`."""
    delta: str | None = None
    """With `token`: the next piece of the answer."""
