"""Errors as OpenAI's clients read them: one object with a message, a type, the parameter at fault and a code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Response

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody, Reply
from agent.contract.wire import WireModel
from bridge.errors import headers_of, status_of, why
from bridge.negotiation import JSON

UNSUPPORTED_PARAMETER = "unsupported_parameter"
UNSUPPORTED_VALUE = "unsupported_value"
REQUEST_ID = "X-Request-Id"
"""The header by which the clients know a request."""
MODEL_NOT_FOUND = "model_not_found"

_PATHS = ("/v1/chat/", "/chat/", "/v1/models", "/v1/audio/")
_CODES = {ErrorCode.UNAUTHORIZED: "invalid_api_key", ErrorCode.RATE_LIMITED: "rate_limit_exceeded"}
_TYPES = {408: "server_error", 429: "requests"}
_PARAMS = {
    "/v1/audio/speech": {"text": "input", "tts.format": "response_format"},
    "/v1/audio/transcriptions": {"audio": "file"},
    "": {
        "text": "messages",
        "audio": "messages",
        "system": "messages",
        "tts.voice": "audio.voice",
        "tts.format": "audio.format",
    },
}
"""The contract's fields by the names that OpenAI has for them; what begins a path, the longest first."""
_SERVER_ERROR = 500


class OpenAiErrorBody(WireModel):
    """Why a request was not answered as asked."""

    message: str
    """One sentence, for people."""
    type: str
    """The kind of error."""
    param: str | None
    """The parameter at fault."""
    code: str | None
    """Stable, for programs."""


class OpenAiError(WireModel):
    """An error in OpenAI's form."""

    error: OpenAiErrorBody
    """All there is to know of it."""

    @classmethod
    def of(cls, error: ErrorBody, path: str, *, status: int | None = None) -> OpenAiError:
        """`error` as it is told at `path`."""
        status = status or status_of(error)
        kind = _TYPES.get(status, "server_error" if status >= _SERVER_ERROR else "invalid_request_error")
        param = _param(error, path)
        return cls(error=OpenAiErrorBody(message=_message(error), type=kind, param=param, code=_code(error)))


def speaks_openai(path: str) -> bool:
    """Whether who asks at `path` reads errors in OpenAI's form."""
    return path.startswith(_PATHS)


def told(
    error: ErrorBody,
    path: str,
    *,
    status: int | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells of `error`, and whether to try again."""
    status = status or status_of(error)
    headers = {
        **headers_of(error, status, headers),
        "X-Should-retry": "true" if error.retriable else "false",  # the clients go by it, else by the status
    }
    if request_id:
        headers |= {REQUEST_ID: request_id}
    body = OpenAiError.of(error, path, status=status)
    return Response(body.model_dump_json(), status, headers, JSON)


def failed(reply: Reply, path: str) -> Response:
    """A reply that is not `ok`."""
    return told(why(reply), path, request_id=reply.id)


def unsupported(param: str, message: str, *, value: bool = False) -> ContractError:
    """What is said to who asks what cannot be done; with `value`, what else the parameter says can be."""
    reason = UNSUPPORTED_VALUE if value else UNSUPPORTED_PARAMETER
    return ContractError(ErrorCode.BAD_REQUEST, f"{_dotted(param)}: {message}", field=param, reason=reason)


def _message(error: ErrorBody) -> str:
    if error.code is not ErrorCode.CONTEXT_LENGTH_EXCEEDED or not (error.limit and error.actual):
        return error.message
    return (
        f"This model's maximum context length is {error.limit:.0f} tokens. However, you requested"
        f" {error.actual:.0f} tokens. Please reduce the length of the messages or completion."
    )


def _param(error: ErrorBody, path: str) -> str | None:
    if error.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED:
        return "messages"
    if error.field is None:
        return None
    names = next(names for start, names in _PARAMS.items() if path.startswith(start))
    return _dotted(names.get(error.field, re.sub(r"^(params|tts|stt)\.", "", error.field)))


def _dotted(field: str) -> str:
    """`messages.0.content` as `messages[0].content`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", field)


def _code(error: ErrorBody) -> str:
    if error.code is ErrorCode.NOT_FOUND and error.field == "model":
        return MODEL_NOT_FOUND
    if error.reason in {UNSUPPORTED_PARAMETER, UNSUPPORTED_VALUE}:
        return error.reason
    return _CODES.get(error.code, error.code.value)
