"""What becomes of what goes wrong anywhere in the bridge, in the form that the caller reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody
from bridge.errors import GATEWAY_TIMEOUT, NOT_ACCEPTABLE, NotAcceptable, no_reply, problem
from bridge.openai.errors import speaks_openai, told

_METHODS = ("GET", "POST", "PUT", "DELETE")
_HOW_TO_POST = ": send a body (curl -d @body.json, ab -p body.json)"  # without one, both ask with GET


def refusal(
    error: ErrorBody,
    scope: Scope,
    *,
    status: int | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells of `error` to who asks at the path of `scope`: a problem, or in OpenAI's form."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if speaks_openai(path):
        return told(error, path, status=status, request_id=request_id, headers=headers)
    return problem(error, status=status, request_id=request_id, headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Whatever a route raises becomes an answer; these handlers are the only place that decides how."""
    # In the form of decorators, which Starlette types by the function and not by `Exception`.
    app.exception_handler(ContractError)(_contract_error)
    app.exception_handler(NoReply)(_no_reply)
    app.exception_handler(NotAcceptable)(_not_acceptable)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unknown)


async def _contract_error(request: Request, exc: ContractError) -> Response:
    return refusal(ErrorBody.of(exc), request.scope, request_id=_id_of(request))


async def _no_reply(request: Request, exc: NoReply) -> Response:
    return refusal(no_reply(), request.scope, status=GATEWAY_TIMEOUT, request_id=exc.id)


async def _not_acceptable(request: Request, exc: NotAcceptable) -> Response:
    error = ErrorBody(code=ErrorCode.BAD_REQUEST, message=str(exc), field="Accept", reason="not_acceptable")
    return refusal(error, request.scope, status=NOT_ACCEPTABLE, request_id=_id_of(request))


async def _invalid(request: Request, exc: RequestValidationError) -> Response:
    fault = exc.errors()[0]
    field = ".".join(str(part) for part in fault["loc"][1:]) or None
    return refusal(
        ErrorBody(code=ErrorCode.BAD_REQUEST, message=f"{field}: {fault['msg']}", field=field), request.scope
    )


async def _http_error(request: Request, exc: HTTPException) -> Response:
    path, headers = request.url.path, exc.headers
    match exc.status_code:
        case 404:
            error = ErrorBody(code=ErrorCode.NOT_FOUND, message=f"there is nothing at {path}; see /docs")
        case 405:
            headers = {**(headers or {}), **_allowed(request)}
            takes = headers.get("Allow", "another method")
            how = _HOW_TO_POST if "POST" in takes else ""
            message = f"{path} takes {takes}, not {request.method}{how}; see /docs"
            error = ErrorBody(code=ErrorCode.METHOD_NOT_ALLOWED, message=message)
        case status:
            code = ErrorCode.BAD_REQUEST if status < HTTPStatus.INTERNAL_SERVER_ERROR else ErrorCode.INTERNAL
            error = ErrorBody(code=code, message=exc.detail)
    return refusal(error, request.scope, status=exc.status_code, headers=headers)


def _allowed(request: Request) -> dict[str, str]:
    """Every method that there is at this path; the route that was asked names only its own."""
    methods = [method for method in _METHODS if _is_answered({**request.scope, "method": method}, request.app.routes)]
    return {"Allow": ", ".join(methods)} if methods else {}


def _is_answered(scope: Scope, routes: Sequence[BaseRoute]) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


async def _unknown(request: Request, _: Exception) -> Response:
    # Starlette raises it again once this is sent, and the server logs it with its traceback.
    error = ErrorBody(code=ErrorCode.INTERNAL, message="the bridge failed; its log says why")
    return refusal(error, request.scope, request_id=_id_of(request))


def _id_of(request: Request) -> str | None:
    """The id of the request, once a route has found it out."""
    found: str | None = getattr(request.state, "request_id", None)
    return found
