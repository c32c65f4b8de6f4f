"""Everything that can go wrong, as HTTP says it: a status for each code, and RFC 9457 problem JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody, Reply

PROBLEM_JSON = "application/problem+json"
HTTP_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: 400,
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
    status = status or HTTP_STATUS[error.code]
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {**(headers or {}), "WWW-Authenticate": "Bearer"}
    if status in _LATER:
        retry_after_ms = error.retry_after_ms or _DEFAULT_RETRY_AFTER_MS
        error = error.model_copy(update={"retry_after_ms": retry_after_ms})
        headers = {**(headers or {}), "Retry-After": str(math.ceil(retry_after_ms / 1_000))}
    told = Problem(
        **error.model_dump(),
        type=f"urn:edgevoice:error:{error.code.value}",
        title=error.code.value.replace("_", " ").capitalize(),
        status=status,
        id=request_id,
        reply=reply,
    )
    return Response(told.model_dump_json(by_alias=True, exclude_none=True), status, headers, PROBLEM_JSON)


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
    error = reply.error or ErrorBody(code=ErrorCode.INTERNAL, message="the agent failed and did not say why")
    produced = reply.transcript or reply.text or reply.audio
    partial = reply.model_copy(update={"error": None}) if produced else None
    return problem(error, request_id=reply.id, reply=partial)


def add_handlers(app: FastAPI) -> None:
    """Whatever a route raises becomes problem JSON; these handlers are the only place that decides how."""
    # In the form of decorators, which Starlette types by the function and not by `Exception`.
    app.exception_handler(ContractError)(_contract_error)
    app.exception_handler(NoReply)(_no_reply)
    app.exception_handler(NotAcceptable)(_not_acceptable)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unknown)


async def _contract_error(request: Request, exc: ContractError) -> Response:
    return problem(ErrorBody.of(exc), request_id=_id_of(request))


async def _no_reply(_: Request, exc: NoReply) -> Response:
    return problem(no_reply(), status=GATEWAY_TIMEOUT, request_id=exc.id)


async def _not_acceptable(request: Request, exc: NotAcceptable) -> Response:
    error = ErrorBody(code=ErrorCode.BAD_REQUEST, message=str(exc), field="Accept", reason="not_acceptable")
    return problem(error, status=NOT_ACCEPTABLE, request_id=_id_of(request))


async def _invalid(_: Request, exc: RequestValidationError) -> Response:
    fault = exc.errors()[0]
    field = ".".join(str(part) for part in fault["loc"][1:]) or None
    return problem(ErrorBody(code=ErrorCode.BAD_REQUEST, message=f"{field}: {fault['msg']}", field=field))


async def _http_error(request: Request, exc: HTTPException) -> Response:
    path, headers = request.url.path, exc.headers
    match exc.status_code:
        case 404:
            error = ErrorBody(code=ErrorCode.NOT_FOUND, message=f"there is nothing at {path}; see /docs")
        case 405:
            headers = {**(headers or {}), **_allowed(request)}
            message = f"{path} takes {headers.get('Allow', 'another method')}, not {request.method}; see /docs"
            error = ErrorBody(code=ErrorCode.METHOD_NOT_ALLOWED, message=message)
        case status:
            code = ErrorCode.BAD_REQUEST if status < HTTPStatus.INTERNAL_SERVER_ERROR else ErrorCode.INTERNAL
            error = ErrorBody(code=code, message=exc.detail)
    return problem(error, status=exc.status_code, headers=headers)


def _allowed(request: Request) -> dict[str, str]:
    """Every method that the API has at this path; the route that was asked names only its own."""
    route = request.scope.get("route")
    methods = request.app.openapi()["paths"].get(getattr(route, "path", None), ())
    return {"Allow": ", ".join(method.upper() for method in methods)} if methods else {}


async def _unknown(request: Request, _: Exception) -> Response:
    # Starlette raises it again once this is sent, and the server logs it with its traceback.
    error = ErrorBody(code=ErrorCode.INTERNAL, message="the bridge failed; its log says why")
    return problem(error, request_id=_id_of(request))


def _id_of(request: Request) -> str | None:
    """The id of the request, once a route has found it out."""
    found: str | None = getattr(request.state, "request_id", None)
    return found
