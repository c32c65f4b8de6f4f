"""Error codes of the wire, and the exception that carries one to whoever answers the caller."""

from __future__ import annotations

from enum import Enum

from agent.contract.terms import Stage


class ErrorCode(str, Enum):
    """Why a request was not answered as asked; stable, for programs."""

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    TEMPLATE_INVALID = "template_invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    EXPIRED = "expired"
    CONFLICT = "conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    AUDIO_TOO_LONG = "audio_too_long"
    UNSUPPORTED_MEDIA = "unsupported_media"
    NO_SPEECH = "no_speech"
    CANCELLED = "cancelled"
    RATE_LIMITED = "rate_limited"
    REPLY_TOO_LARGE = "reply_too_large"
    STT_FAILED = "stt_failed"
    LLM_FAILED = "llm_failed"
    TTS_FAILED = "tts_failed"
    INTERNAL = "internal"
    BROKER_UNAVAILABLE = "broker_unavailable"
    BUSY = "busy"
    MODEL_NOT_READY = "model_not_ready"
    AGENT_OFFLINE = "agent_offline"


RETRIABLE = frozenset(
    {
        ErrorCode.STT_FAILED,
        ErrorCode.LLM_FAILED,
        ErrorCode.TTS_FAILED,
        ErrorCode.RATE_LIMITED,
        ErrorCode.BROKER_UNAVAILABLE,
        ErrorCode.BUSY,
        ErrorCode.MODEL_NOT_READY,
        ErrorCode.AGENT_OFFLINE,
    }
)
"""Codes after which the same request may well succeed, sent again a little later."""


class ContractError(Exception):
    """A request that cannot be answered as asked: a stable code for programs, a sentence for people."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        stage: Stage | None = None,
        field: str | None = None,
        reason: str | None = None,
        retry_after_ms: int | None = None,
        limit: float | None = None,
        actual: float | None = None,
        retriable: bool | None = None,
        queue_depth: int | None = None,
        missing_keys: tuple[str, ...] = (),
        unused_keys: tuple[str, ...] = (),
    ) -> None:
        """`limit` and `actual` are in the unit that `message` names; `retriable` None goes by the code.

        `missing_keys`, `unused_keys`: of a template, or of what was given for it.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.stage = stage
        self.field = field
        self.reason = reason
        self.retry_after_ms = retry_after_ms
        self.limit = limit
        self.actual = actual
        self.queue_depth = queue_depth
        self.missing_keys = missing_keys
        self.unused_keys = unused_keys
        self.retriable = code in RETRIABLE if retriable is None else retriable
