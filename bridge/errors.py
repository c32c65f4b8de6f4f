"""Everything that can go wrong, as HTTP says it: a status for each code, and RFC 9457 problem JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Response
from pydantic import Field

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody, Reply

PROBLEM_JSON = "application/problem+json"
HTTP_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorCode.TEMPLATE_INVALID: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.EXPIRED: 408,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.AUDIO_TOO_LONG: 413,
    ErrorCode.UNSUPPORTED_MEDIA: 415,
    ErrorCode.NO_SPEECH: 422,
    ErrorCode.CANCELLED: 499,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.REPLY_TOO_LARGE: 500,
    ErrorCode.STT_FAILED: 500,
    ErrorCode.LLM_FAILED: 500,
    ErrorCode.TTS_FAILED: 500,
    ErrorCode.INTERNAL: 500,
    ErrorCode.BROKER_UNAVAILABLE: 502,
    ErrorCode.BUSY: 503,
    ErrorCode.MODEL_NOT_READY: 503,
    ErrorCode.AGENT_OFFLINE: 503,
}
NOT_ACCEPTABLE = 406
GATEWAY_TIMEOUT = 504
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_DEFAULT_RETRY_AFTER_MS = 1_000


class Problem(ErrorBody):
    """Why a request was not answered as asked (RFC 9457)."""

    message: str = Field(serialization_alias="detail")
    """What is wrong with this request, and what would help."""
    type: str
    """Names the kind of problem: `urn:edgevoice:error:{code}`."""
    title: str
    """The kind of problem, for people."""
    status: int
    """The HTTP status."""
    id: str | None = None
    """The request's id."""
    reply: Reply | None = None
    """What the agent had produced by then: transcript, text."""


class NotAcceptable(Exception):
    """No form of the answer that the caller accepts."""


def problem(
    error: ErrorBody,
    *,
    status: int | None = None,
    request_id: str | None = None,
    reply: Reply | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells of `error`; `status` only where the code alone does not decide it."""
    status = status or status_of(error)
    if status in _LATER:
        error = error.model_copy(update={"retry_after_ms": _retry_after_ms(error)})
    told = Problem(
        **error.model_dump(),
        type=f"urn:edgevoice:error:{error.code.value}",
        title=error.code.value.replace("_", " ").capitalize(),
        status=status,
        id=request_id,
        reply=reply,
    )
    body = told.model_dump_json(by_alias=True, exclude_none=True)
    return Response(body, status, headers_of(error, status, headers), PROBLEM_JSON)


def status_of(error: ErrorBody) -> int:
    """The HTTP status of `error`, where its code alone decides it."""
    return HTTP_STATUS[error.code]


def headers_of(error: ErrorBody, status: int, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """What beside the body tells a caller how to go on, and `headers`."""
    told = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        told["WWW-Authenticate"] = "Bearer"
    if status in _LATER:
        told["Retry-After"] = str(math.ceil(_retry_after_ms(error) / 1_000))
    return told


def stopping() -> ContractError:
    """What a caller is told whom the server cancels, at the end of its grace time."""
    message = "the bridge is stopping; ask again with the same Idempotency-Key"
    return ContractError(ErrorCode.BUSY, message, reason="stopping", retry_after_ms=_DEFAULT_RETRY_AFTER_MS)


def no_reply() -> ErrorBody:
    """What a caller is told where nothing is heard of its request."""
    return ErrorBody(
        code=ErrorCode.EXPIRED,
        message="the agent said nothing, not even that it was too late; ask again with the same Idempotency-Key",
        reason="no_reply",
        retriable=True,
    )


def failed(reply: Reply) -> Response:
    """A reply that is not `ok`, with what the agent had produced before it failed."""
    error = why(reply)
    produced = reply.transcript or reply.text or reply.audio
    partial = reply.model_copy(update={"error": None}) if produced else None
    return problem(error, request_id=reply.id, reply=partial)


def why(reply: Reply) -> ErrorBody:
    """What went wrong, of a reply that is not `ok`."""
    return reply.error or ErrorBody(code=ErrorCode.INTERNAL, message="the agent failed and did not say why")


def _retry_after_ms(error: ErrorBody) -> int:
    return error.retry_after_ms or _DEFAULT_RETRY_AFTER_MS
