"""What a run tells a caller who asked for it while it goes on, in order, before the terminal reply."""

from __future__ import annotations

from enum import Enum

from agent.contract.terms import Stage
from agent.contract.wire import WireModel


class EventType(str, Enum):
    """What happened."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    STT_START = "stt_start"
    STT_END = "stt_end"
    LLM_START = "llm_start"
    TOKEN = "token"  # noqa: S105 - a piece of text, not a secret
    SENTENCE = "sentence"
    LLM_END = "llm_end"
    TTS_START = "tts_start"
    AUDIO = "audio"
    TTS_END = "tts_end"
    HEARTBEAT = "heartbeat"
    NACK = "nack"
    WARNING = "warning"


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
    """What was heard (`stt_end`), the whole answer (`llm_end`), or a part of it (`sentence`, `audio`)."""
    language: str | None = None
    """With `stt_end`."""
    delta: str | None = None
    """With `token`: the next piece of the answer, of one token or of several."""
    n: int | None = None
    """With `sentence`: counts those of the answer from 0."""
    chunk: int | None = None
    """With `audio`: the number at the end of its topic."""
    bytes: int | None = None
    """With `audio`: its size [bytes]."""
    chunks: int | None = None
    """With `tts_end`: how many there were."""
    stage: Stage | None = None
    """With `heartbeat`: what takes so long."""
    missing: tuple[int, ...] | None = None
    """With `nack`: the chunks of the clip that are to be sent again."""
    code: str | None = None
    """With `warning`: what is not as asked."""
    message: str | None = None
    """With `warning`: the same for a person."""
