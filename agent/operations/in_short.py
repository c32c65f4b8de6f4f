"""What is asked in few words: a bare id, or JSON."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import is_id

_MAX_BYTES = 1_024


def bare_id(payload: bytes, *, what: str, field: str) -> str | None:
    """The id that `payload` is; None where it is JSON.

    Raises ContractError where it is neither, or too large for `what`, as errors call it.
    """
    if len(payload) > _MAX_BYTES:
        message = f"{what} has {len(payload)} bytes; {_MAX_BYTES} are the most"
        raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, limit=_MAX_BYTES, actual=len(payload))
    bare = payload.decode("utf-8", "replace").strip()
    if is_id(bare):
        return bare
    if not bare.startswith("{"):
        message = "neither an id nor JSON with one"
        raise ContractError(ErrorCode.BAD_REQUEST, message, field=field, reason="bad_id")
    return None
