"""Without API keys, who may ask: whoever is on this machine, and no web page of others that is open on it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from agent.contract.errors import ContractError, ErrorCode
from bridge.settings import BridgeSettings, is_loopback

_ALLOW_HOST = 'if that is you behind a proxy, set EDGEVOICE_BRIDGE_ALLOWED_HOSTS=["…"] to the name it goes by'


def check_neighbour(scope: Scope, headers: Headers, settings: BridgeSettings) -> None:
    """ContractError(forbidden) for who may not ask."""
    if not settings.allow_unauthenticated:
        _check_address(scope)
        _check_host(headers, settings)
    _check_origin(headers, settings)


def check_local(scope: Scope, headers: Headers, settings: BridgeSettings) -> None:
    """ContractError(forbidden) for who is not on this machine, or a web page of others."""
    address, _ = scope.get("client") or ("", 0)  # a Unix socket has none
    if address and not is_loopback(address):
        message = "the metrics are for callers on this machine; EDGEVOICE_BRIDGE_METRICS=all tells them to everybody"
        raise ContractError(ErrorCode.FORBIDDEN, message, reason="not_local")
    _check_host(headers, settings)
    _check_origin(headers, settings)


def _check_address(scope: Scope) -> None:
    """The settings refuse to listen for other machines, but `uvicorn bridge.app:app --host 0.0.0.0` ignores them."""
    address, _ = scope.get("server") or (None, None)
    if address is not None and not address.startswith("/") and not is_loopback(address):
        raise ContractError(
            ErrorCode.FORBIDDEN,
            f"the bridge has no API keys, so it answers nobody on {address}; `edgevoice keys add NAME` makes one, or"
            " let everyone in with EDGEVOICE_BRIDGE_ALLOW_UNAUTHENTICATED=true",
            reason="no_api_keys",
        )


def _check_host(headers: Headers, settings: BridgeSettings) -> None:
    """A web page whose name is made to lead to this machine (DNS rebinding) gives itself away by that name."""
    host = headers.get("Host", "")
    name = _split(f"//{host}").hostname or ""
    if not is_loopback(name) and not _allowed(name, settings):
        message = f"the bridge does not answer for the host {host[:80]!r}; {_ALLOW_HOST}"
        raise ContractError(ErrorCode.FORBIDDEN, message, field="Host", reason="foreign_host")


def _check_origin(headers: Headers, settings: BridgeSettings) -> None:
    """Browsers let any web page send a request, and say which one did."""
    origin = headers.get("Origin")
    if origin is None:
        return
    page = _split(origin)
    same = page.netloc.lower() == headers.get("Host", "").lower()
    if not (page.netloc and same) and not _allowed(page.hostname or "", settings):
        message = f"the bridge does not answer the web page of {origin[:80]!r}; {_ALLOW_HOST}"
        raise ContractError(ErrorCode.FORBIDDEN, message, field="Origin", reason="foreign_origin")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no address
        return urlsplit("")


def _allowed(name: str, settings: BridgeSettings) -> bool:
    return name in {host.lower() for host in settings.allowed_hosts}
