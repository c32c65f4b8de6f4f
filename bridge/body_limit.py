"""Reads a request's body before the application sees it, and never more of it than the limit."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody
from bridge.errors import stopping
from bridge.handlers import refusal

_LINGER_S = 2.0


class BodyLimit:
    """ASGI middleware: refuses encoded, too large and too slow bodies, and hands on the rest in one piece."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; what has no body passes as it is."""
        if not _has_body(scope):
            await self._app(scope, receive, send)
            return
        upload = _Upload(receive)
        try:
            self._check(Headers(scope=scope))
            body = await asyncio.wait_for(upload.read(self._max_bytes), self._timeout_s)
        except _HungUp:
            return
        except asyncio.CancelledError:
            await refusal(ErrorBody.of(stopping()), scope, headers={"Connection": "close"})(scope, receive, send)
        except ContractError as exc:
            await _refuse(exc, upload, scope, send)
        except asyncio.TimeoutError:
            message = f"the body did not arrive within {self._timeout_s:g} s"
            slow = ContractError(ErrorCode.EXPIRED, message, reason="slow_body", limit=self._timeout_s)
            await _refuse(slow, upload, scope, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    def _check(self, headers: Headers) -> None:
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            message = f"send the body as it is, not as {encoding[:40]!r}"
            raise ContractError(ErrorCode.UNSUPPORTED_MEDIA, message, field="Content-Encoding")
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise _too_large(self._max_bytes, int(announced))


async def refuse(exc: ContractError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request with a problem, and its body with nothing."""
    if _has_body(scope):
        await _refuse(exc, _Upload(receive), scope, send)
    else:
        await refusal(ErrorBody.of(exc), scope)(scope, receive, send)


class _HungUp(Exception):
    """The caller went away in the middle of its request."""


class _Upload:
    """The body of one request as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self._more = True

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; ContractError(payload_too_large) as soon as it is longer than `max_bytes`."""
        chunks: list[bytes] = []
        size = 0
        while self._more:
            chunk = await self._next()
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
        return b"".join(chunks)

    async def drain(self) -> None:
        """Throws away what is still to come."""
        with suppress(_HungUp):
            while self._more:
                await self._next()

    async def _next(self) -> bytes:
        message = await self.receive()
        self._more = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise _HungUp
        chunk: bytes = message.get("body", b"")
        return chunk


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
    return "content-length" in headers or "transfer-encoding" in headers


def _too_large(limit: int, actual: int | None = None) -> ContractError:
    message = f"the body is larger than {limit} bytes"
    return ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, limit=limit, actual=actual)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives `body` once, then whatever else the server has to say: that the caller hung up."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return unread.pop() if unread else await receive()

    return replay


async def _refuse(exc: ContractError, upload: _Upload, scope: Scope, send: Send) -> None:
    """Answers with a problem, and for a moment listens on.

    A connection that is closed on a caller who still sends is reset, and the caller never reads why.
    """
    answer = refusal(ErrorBody.of(exc), scope, headers={"Connection": "close"})

    async def send_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await answer(scope, upload.receive, send_open)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(upload.drain(), _LINGER_S)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
