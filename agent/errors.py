"""The agent's errors; each carries the code that the caller will see.

ContractError (agent.contract.errors)
└── AgentError
    ├── AudioError         a clip that cannot be heard
    ├── Busy               no room for another request
    ├── NotReady           no room yet: the engines are loading
    ├── Cancelled          the caller does not want the answer any more, or is gone
    ├── Expired            the deadline passed
    ├── StorageError       the journal cannot be written
    └── EngineError        an engine could not do its stage
        └── EngineDied     its process ended in the middle of a call

Beside them, for the person at the keyboard instead of a caller:

UserError                  one line that says what to do about it; each command's package adds its own
"""

from __future__ import annotations

from typing import Literal

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import Stage

_FAILED = {
    Stage.STT: ErrorCode.STT_FAILED,
    Stage.LLM: ErrorCode.LLM_FAILED,
    Stage.TTS: ErrorCode.TTS_FAILED,
}

CancelReason = Literal["caller", "client_offline", "barge_in"]
_CANCELLED: dict[CancelReason, str] = {
    "caller": "cancelled by the caller",
    "client_offline": "cancelled: the caller went offline",
    "barge_in": "cancelled: the caller asked something else",
}


class AgentError(ContractError):
    """Anything the agent itself refuses or fails to do."""


class AudioError(AgentError):
    """A clip that cannot be heard: not audio we read (`unsupported_media`), too long, or silent.

    Or, with another stage and field, speech that cannot be written down as asked.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        code: ErrorCode = ErrorCode.UNSUPPORTED_MEDIA,
        stage: Stage = Stage.STT,
        field: str = "audio",
        limit: float | None = None,
        actual: float | None = None,
    ) -> None:
        super().__init__(code, message, stage=stage, field=field, reason=reason, limit=limit, actual=actual)


class Busy(AgentError):
    """No room for another request now."""

    def __init__(self, message: str, *, retry_after_ms: int, limit: float, queue_depth: int | None = None) -> None:
        super().__init__(ErrorCode.BUSY, message, retry_after_ms=retry_after_ms, limit=limit, queue_depth=queue_depth)


class NotReady(AgentError):
    """No room for another request until the engines are loaded."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.MODEL_NOT_READY, message, reason="loading", retry_after_ms=2_000)


class Cancelled(AgentError):
    """The caller does not want the answer any more, or is gone."""

    def __init__(self, reason: CancelReason = "caller") -> None:
        super().__init__(ErrorCode.CANCELLED, _CANCELLED[reason], reason=reason)


class Expired(AgentError):
    """The deadline passed before the answer was there."""

    def __init__(self, deadline_ms: int) -> None:
        super().__init__(ErrorCode.EXPIRED, f"not answered within {deadline_ms} ms", limit=deadline_ms)


class StorageError(AgentError):
    """The journal cannot be written, so nothing can be promised."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INTERNAL, message, reason="storage_unavailable", retriable=True)


def internal() -> AgentError:
    """What a caller is told of a bug of ours."""
    return AgentError(ErrorCode.INTERNAL, "the agent failed; its log says how")


class EngineError(AgentError):
    """An engine could not do its stage."""

    def __init__(
        self,
        stage: Stage,
        message: str,
        *,
        code: ErrorCode | None = None,
        reason: str | None = None,
        field: str | None = None,
        retriable: bool | None = None,
        limit: float | None = None,
        actual: float | None = None,
    ) -> None:
        super().__init__(
            code or _FAILED[stage],
            message,
            stage=stage,
            reason=reason,
            field=field,
            retriable=retriable,
            limit=limit,
            actual=actual,
        )


class EngineDied(EngineError):
    """The engine's process ended in the middle of a call; the agent has already started another."""


def too_long(asked: int, window: int, *, reserved: int = 0) -> EngineError:
    """The conversation has `asked` tokens, which do not fit into the model's `window` beside those `reserved`."""
    if reserved:
        many = f"which with {reserved} for the answer are more than"
    else:
        many = "more than" if asked > window else "as many as"
    message = f"the conversation has {asked} tokens, {many} the model's window of {window}"
    code = ErrorCode.CONTEXT_LENGTH_EXCEEDED
    return EngineError(Stage.LLM, message, code=code, limit=window, actual=asked + reserved)


class UserError(Exception):
    """What the person who typed a command can put right, and how."""

    exit_status = 1
    """Of the command."""


class BadSettings(UserError):
    """Settings that cannot be meant: nothing changes by trying again."""

    exit_status = 78  # EX_CONFIG of sysexits.h
