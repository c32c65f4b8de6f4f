"""How much the contract lets anyone ask for, and what an agent advertises of it."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from agent.contract.wire import WireModel

DEFAULT_DEADLINE_MS = 60_000
MAX_CORRELATION_BYTES = 128
MAX_METADATA_BYTES = 4_096
MAX_HINT_CHARS = 1_000
MAX_MESSAGES = 256
MAX_STOP_STRINGS = 16
MAX_TOKENS = 32_768
MAX_TEMPLATE_CHARS = 32_000
MAX_TEMPLATE_KEYS = 64
MAX_TEMPLATE_BYTES = 64_000
"""Of a template that is kept [bytes of JSON]."""
MAX_TEMPLATES = 200
"""Of one agent, the shipped ones not counted."""
MAX_TURNS_TOLD = 200
"""Of a conversation, or conversations of a caller, in one reply."""
MIN_CHUNK_BYTES = 1_024
MAX_CHUNK_BYTES = 65_536
"""Largest chunk of audio, whichever way it goes [bytes]."""


class Limits(WireModel):
    """An agent's limits: its operator sets them, its `info` topic shows them."""

    model_config = ConfigDict(strict=False, extra="forbid")  # an environment variable is text

    max_message_bytes: int = Field(default=4_000_000, ge=1_024, le=250_000_000)
    """Largest request the agent reads [bytes]; a larger one is `payload_too_large`."""
    max_audio_s: float = Field(default=60.0, gt=0, le=3_600)
    """Longest clip the agent hears [s]; a longer one is `audio_too_long`."""
    max_upload_s: float = Field(default=600.0, gt=0, le=3_600)
    """Longest clip that arrives in chunks [s]; a longer one is `audio_too_long`."""
    max_uploads: int = Field(default=64, ge=1)
    """Clips that arrive in chunks at once; one more is `busy`."""
    max_uploads_per_client: int = Field(default=8, ge=1)
    """The same for one client."""
    upload_idle_ms: int = Field(default=5_000, ge=100)
    """Longest pause between two chunks [ms]; past it the clip ends there, or is `expired` where chunks are missing."""
    max_text_chars: int = Field(default=8_000, ge=1)
    """Longest text the agent reads or says [characters]."""
    max_queued: int = Field(default=256, ge=1)
    """Requests waiting or running at once; one more is `busy`."""
    max_queued_per_client: int = Field(default=64, ge=1)
    """The same for one client."""
    max_queued_bytes: int = Field(default=64_000_000, ge=1_024)
    """Size of all requests waiting or running, their audio decoded from base64 [bytes]."""
    max_queued_bytes_per_client: int = Field(default=32_000_000, ge=1_024)
    """The same for one client."""
    max_queued_audio_s: float = Field(default=1_200.0, gt=0)
    """Length of all clips waiting or running [s]."""
    max_queued_audio_s_per_client: float = Field(default=600.0, gt=0)
    """The same for one client."""
    default_deadline_ms: int = Field(default=DEFAULT_DEADLINE_MS, ge=1)
    """Deadline of a request that names none [ms]."""
    max_deadline_ms: int = Field(default=600_000, ge=1)
    """Longest deadline a caller may set [ms]; a longer one is shortened to it."""
