"""What goes wrong with a server of OpenAI's protocol, each with words of its own, as one of our errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.engines.base import UNREACHABLE
from agent.engines.remote import overflow
from agent.errors import EngineError

KEY_VARIABLE = "OPENAI_API_KEY"
_UNAUTHORIZED = (401, 403)
_NO_SUCH = 404
_TOO_MANY = 429
_FAILED = 500
_UNAVAILABLE = 503
_SPENT = "insufficient_quota"
_MAX_WORDS_CHARS = 300


class Errors:
    """Makes our errors of the client's, for one server."""

    def __init__(self, unreachable: tuple[type[Exception], ...], address: str, key: str | None) -> None:
        """`unreachable`: the client's errors for a connection that failed; `key` will be shown nowhere."""
        self._unreachable = unreachable
        self._address = address
        self._key = key
        self._model = ""
        self._models: Sequence[str] = ()

    def know(self, model: str, models: Sequence[str]) -> None:
        """Which model is asked, and which there are."""
        self._model = model
        self._models = models

    def untaken(self, exc: Exception) -> EngineError:
        """Why no word of an answer came; where it is retriable, it is worth another try."""
        if isinstance(exc, self._unreachable):
            message = f"cannot reach {self._address}: {_words_of(exc.__cause__ or exc, secret=self._key)}"
            return EngineError(Stage.LLM, message, code=ErrorCode.MODEL_NOT_READY, reason=UNREACHABLE)
        if isinstance(exc, json.JSONDecodeError):
            return EngineError(Stage.LLM, f"{self._address} does not speak the protocol: {exc}", retriable=False)
        status = status_of(exc)
        if status in _UNAUTHORIZED:
            message = f"{self._address} refuses the API key ({status}); it belongs in api_key_file or {KEY_VARIABLE}"
            return EngineError(Stage.LLM, message, reason="unauthorized", retriable=False)
        return self._refused(exc, status, _words_of(exc, secret=self._key))

    def broken_off(self, exc: Exception) -> EngineError:
        """Why an answer was not finished."""
        words = _words_of(exc.__cause__ or exc, secret=self._key)
        return EngineError(Stage.LLM, f"{self._address} broke the answer off: {words}")

    def _refused(self, exc: Exception, status: int, words: str) -> EngineError:
        if status == _NO_SUCH:
            known = ", ".join(self._models) or "none"
            message = f"{self._address} has no model {self._model!r} ({words}); it lists {known}"
            return EngineError(Stage.LLM, message, code=ErrorCode.NOT_FOUND, field="model")
        if status == _TOO_MANY:
            spent = getattr(exc, "code", None) == _SPENT
            message = f"{self._address} takes no more requests: {words}"
            return EngineError(Stage.LLM, message, code=ErrorCode.BUSY, retriable=not spent)
        if too_long := overflow(words, **_fields_of(exc)):
            return too_long
        code = ErrorCode.MODEL_NOT_READY if status == _UNAVAILABLE else None
        message = f"{self._address} failed ({status}): {words}"
        return EngineError(Stage.LLM, message, code=code, retriable=status >= _FAILED)


def status_of(exc: Any) -> int:
    """The HTTP status of the client's error; where it came in the middle of an answer, what the server calls it."""
    code = str(getattr(exc, "code", None) or "")
    return int(getattr(exc, "status_code", None) or (code if code.isdigit() else _FAILED))


def refuses_usage(exc: Any) -> bool:
    """Whether the server does not take the request for usage."""
    return status_of(exc) in (400, 422) and "stream_options" in f"{exc} {getattr(exc, 'body', '')}"


def retry_after_s(exc: Any) -> float:
    """How long the server wants to be left alone [s]; 0 where it does not say."""
    value = exc.response.headers.get("retry-after", "") if hasattr(exc, "response") else ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _words_of(exc: Any, *, secret: str | None) -> str:
    """What an error says, in the server's own words if it has any, on one line and without `secret`."""
    body = getattr(exc, "body", None)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body
    said = body if isinstance(body, str) else json.dumps(body) if body else str(exc) or type(exc).__name__
    return " ".join((said.replace(secret, "***") if secret else said).split())[:_MAX_WORDS_CHARS]


def _fields_of(exc: Any) -> dict[str, Any]:
    """What the server's fields tell of a conversation that is too long, as `overflow` takes it."""
    body = getattr(exc, "body", None)
    told = body if isinstance(body, dict) else {}
    kind = f"{getattr(exc, 'code', '')} {getattr(exc, 'type', '')}"
    return {"kind": kind, "asked": told.get("n_prompt_tokens"), "window": told.get("n_ctx")}
