"""Operators' calls: who may make them over HTTP, and how they are answered."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import JSONResponse

from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import AdminOperation, Status
from bridge.access.access import CallerDep
from bridge.agent import Agent
from bridge.errors import failed
from bridge.state import SettingsDep


async def check_operator(settings: SettingsDep, caller: CallerDep) -> None:
    """ContractError(forbidden) where the bridge lets no operators in, or the caller is none."""
    if not settings.admin:
        message = (
            "the bridge does not let operators in; set EDGEVOICE_BRIDGE_ADMIN=true and see mosquitto/acl,"
            " or start `edgevoice up --admin`"
        )
        raise ContractError(ErrorCode.FORBIDDEN, message, reason="admin_off")
    if not caller.operator:
        message = "this key is no operator's; `edgevoice keys add NAME --operator` makes one that is"
        raise ContractError(ErrorCode.FORBIDDEN, message, reason="not_operator")


async def administer(agent: Agent, operation: AdminOperation, asked: AdminRequest | None = None) -> Response:
    """What came of the call. ContractError or NoReply."""
    reply = await agent.administer(operation, asked)
    if reply.status is not Status.OK:
        return failed(reply)
    return JSONResponse(reply.result)
