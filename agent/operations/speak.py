"""`speak`: text in, speech out; the language model is not asked."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.terms import Stage


def plan(request: Request, clip: bytes | None) -> frozenset[Stage]:
    """TTS alone."""
    if request.text is None or clip is not None or request.messages is not None:
        raise ContractError(ErrorCode.BAD_REQUEST, "speak needs text, and text only", field="text")
    return frozenset({Stage.TTS})
