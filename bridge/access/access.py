"""Who may ask: holders of an API key, as often as it allows; without keys, only who is on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.contract.errors import ContractError, ErrorCode
from agent.keys import ApiKey
from bridge.access.keys import Keys
from bridge.access.neighbours import check_neighbour
from bridge.access.rate import Bucket, Peers, Rates
from bridge.body_limit import refuse
from bridge.settings import BridgeSettings, is_loopback

_GUARDED = ("/v1/", "/chat/", "/prompt")
_BEARER = HTTPBearer(auto_error=False, description="A key by `edgevoice keys add`, where the bridge has any.")
"""For the documentation alone."""
_WRONG_KEYS_BURST = 10


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as the bridge can tell."""

    client: str
    """Its level in the topics."""
    operator: bool
    """Whether it may make operators' calls, where the bridge offers them."""


class Access:
    """Lets callers in, or says why not."""

    def __init__(self, settings: BridgeSettings) -> None:
        """Workers that are forked afterwards count together, and know together whether keys are needed."""
        self._settings = settings
        self._keys = Keys(settings.keys_path)
        self._wrong_keys = Peers(Bucket.of(settings.wrong_keys_per_s, _WRONG_KEYS_BURST))
        self._rates = Rates(Bucket.of(settings.rate_per_s, settings.rate_burst))

    def admit(self, scope: Scope) -> Caller:
        """Who asks. ContractError: unauthorized, rate_limited or, without keys, forbidden."""
        headers = Headers(scope=scope)
        if self._keys.required:
            key = self._authenticate(scope, headers)
            self._count(key)
            return Caller(key.client, key.operator)
        check_neighbour(scope, headers, self._settings)
        return Caller(self._settings.client, operator=True)

    def _authenticate(self, scope: Scope, headers: Headers) -> ApiKey:
        key = self._keys.find(_bearer(headers))
        if key is None:
            # Who has a key passes even now: behind a proxy, all callers come from one address.
            address, _ = scope.get("client") or ("", 0)
            if wait_s := self._wrong_keys.take(address):
                raise _too_often("too many requests without a key that the bridge knows", wait_s)
            raise ContractError(ErrorCode.UNAUTHORIZED, "`Authorization: Bearer …` with a key of this bridge is needed")
        return key

    def _count(self, key: ApiKey) -> None:
        if wait_s := self._rates.take(key.client):
            raise _too_often(f"{self._settings.rate_per_s:g} requests a second are what this key may make", wait_s)


def check_callers(settings: BridgeSettings) -> None:
    """ValueError or OSError where the bridge could not tell who asks."""
    keys = Keys(settings.keys_path)
    keys.load()
    if not (keys.required or settings.allow_unauthenticated or is_loopback(settings.host)):
        raise ValueError(
            f"listening on {settings.host} without API keys would let every machine that reaches it use the agent;"
            " `edgevoice keys add NAME` makes a key; or listen on 127.0.0.1, behind a proxy that asks who is there, or"
            " set EDGEVOICE_BRIDGE_ALLOW_UNAUTHENTICATED=true"
        )


class Gate:
    """ASGI middleware: whoever may not ask is refused before a byte of the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; what is no part of the API, such as /healthz and /docs, is everybody's."""
        if scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")).startswith(_GUARDED):
            try:
                state = scope["state"]
                state["caller"] = state["access"].admit(scope)
            except ContractError as exc:
                await refuse(exc, scope, receive, send)
                return
        await self._app(scope, receive, send)


def caller_of(request: Request) -> Caller:
    """Who asks; ContractError(unauthorized) for whom no Gate let in, so that no route is open by oversight."""
    caller: Caller | None = request.scope["state"].get("caller")
    if caller is None:
        raise ContractError(ErrorCode.UNAUTHORIZED, f"{request.url.path} is not open to callers")
    return caller


async def check_access(request: Request, _: Annotated[object, Security(_BEARER)]) -> Caller:
    """Who asks, as a dependency, by which it is documented, too."""
    return caller_of(request)


CallerDep = Annotated[Caller, Depends(check_access)]


def _bearer(headers: Headers) -> str:
    """The key that is shown; empty where there is none, or more than one."""
    shown = headers.getlist("Authorization")
    scheme, _, key = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    return key.strip() if scheme.lower() == "bearer" else ""


def _too_often(message: str, wait_s: float) -> ContractError:
    return ContractError(ErrorCode.RATE_LIMITED, message, retry_after_ms=math.ceil(wait_s * 1_000))
