"""Sees every request from its first moment to the last byte of its answer, and counts it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.metrics.tally import HUNG_UP, OTHER, Tally

_FAILED = 500


class Metered:
    """ASGI middleware, around all others: who is refused is counted, too."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[APIRoute], tally: Tally) -> None:
        self._app = app
        self._tally = tally
        self._fixed = {route.path for route in routes if not route.param_convertors}
        self._patterns = {route.path: route.path_regex for route in routes if route.param_convertors}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; one without an answer is one whose caller hung up."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), HUNG_UP

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception:
            status = _FAILED
            raise
        finally:
            self._tally.count(self._route(scope), status, time.monotonic() - began)

    def _route(self, scope: Scope) -> str:
        """Its pattern: there are only so many, whatever callers ask for."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in self._fixed:
            return str(path)
        return next((route for route, pattern in self._patterns.items() if pattern.match(path)), OTHER)
