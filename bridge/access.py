"""Who may ask: without API keys, only who is on this machine."""

from __future__ import annotations

from fastapi import Request

from agent.contract.errors import ContractError, ErrorCode
from bridge.settings import is_loopback
from bridge.state import SettingsDep


async def check_access(request: Request, settings: SettingsDep) -> None:
    """ContractError(forbidden) for who came in by an address that other machines reach.

    The settings refuse to listen there, but `uvicorn bridge.app:app --host 0.0.0.0` does not read them.
    """
    address, _ = request.scope.get("server") or (None, None)
    on_network = address is not None and not address.startswith("/") and not is_loopback(address)
    if on_network and not settings.allow_unauthenticated:
        raise ContractError(
            ErrorCode.FORBIDDEN,
            f"the bridge has no API keys, so it answers nobody on {address}; ask on 127.0.0.1, or let everyone in with"
            " EDGEVOICE_BRIDGE_ALLOW_UNAUTHENTICATED=true",
            reason="no_api_keys",
        )
