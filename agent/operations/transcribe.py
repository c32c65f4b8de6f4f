"""`transcribe`: speech in, text out; the language model is not asked."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.terms import Stage


def plan(request: Request, clip: bytes | None) -> frozenset[Stage]:
    """STT alone."""
    if clip is None or request.text is not None or request.messages is not None:
        raise ContractError(ErrorCode.BAD_REQUEST, "transcribe needs audio, and audio only", field="audio")
    return frozenset({Stage.STT})
