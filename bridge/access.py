"""Who may ask: without API keys, only who is on this machine, and no web page of others that is open on it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from fastapi import Request

from agent.contract.errors import ContractError, ErrorCode
from bridge.settings import BridgeSettings, is_loopback
from bridge.state import SettingsDep

_ALLOW_HOST = 'if that is you behind a proxy, set EDGEVOICE_BRIDGE_ALLOWED_HOSTS=["…"] to the name it goes by'


async def check_access(request: Request, settings: SettingsDep) -> None:
    """ContractError(forbidden) for who may not ask."""
    if not settings.allow_unauthenticated:
        _check_address(request)
        _check_host(request, settings)
    _check_origin(request, settings)


def _check_address(request: Request) -> None:
    """The settings refuse to listen for other machines, but `uvicorn bridge.app:app --host 0.0.0.0` ignores them."""
    address, _ = request.scope.get("server") or (None, None)
    if address is not None and not address.startswith("/") and not is_loopback(address):
        raise ContractError(
            ErrorCode.FORBIDDEN,
            f"the bridge has no API keys, so it answers nobody on {address}; ask on 127.0.0.1, or let everyone in with"
            " EDGEVOICE_BRIDGE_ALLOW_UNAUTHENTICATED=true",
            reason="no_api_keys",
        )


def _check_host(request: Request, settings: BridgeSettings) -> None:
    """A web page whose name is made to lead to this machine (DNS rebinding) gives itself away by that name."""
    host = request.headers.get("Host", "")
    name = _split(f"//{host}").hostname or ""
    if not is_loopback(name) and not _allowed(name, settings):
        message = f"the bridge does not answer for the host {host[:80]!r}; {_ALLOW_HOST}"
        raise ContractError(ErrorCode.FORBIDDEN, message, field="Host", reason="foreign_host")


def _check_origin(request: Request, settings: BridgeSettings) -> None:
    """Browsers let any web page send a request, and say which one did."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    page = _split(origin)
    same = page.netloc.lower() == request.headers.get("Host", "").lower()
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
