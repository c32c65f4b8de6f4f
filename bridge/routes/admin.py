"""`/v1/admin/…`: what operators may ask of the agent, where the bridge is told to let them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from agent.contract.admin import Health, ModelList
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import ID_PATTERN, AdminOperation, Status
from bridge.access.access import CallerDep
from bridge.errors import failed
from bridge.openapi import PROBLEMS
from bridge.state import AgentDep, SettingsDep


async def _check_admin(settings: SettingsDep, caller: CallerDep) -> None:
    if not settings.admin:
        message = (
            "the bridge does not let operators in; set EDGEVOICE_BRIDGE_ADMIN=true and see mosquitto/acl,"
            " or start `edgevoice up --admin`"
        )
        raise ContractError(ErrorCode.FORBIDDEN, message, reason="admin_off")
    if not caller.operator:
        message = "this key is no operator's; `edgevoice keys add NAME --operator` makes one that is"
        raise ContractError(ErrorCode.FORBIDDEN, message, reason="not_operator")


router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(_check_admin)],
    responses=PROBLEMS,
)
ModelName = Annotated[str, Path(pattern=ID_PATTERN, description="One of those that `/v1/admin/models` lists.")]


@router.get("/health", summary="How does the agent fare?", response_model=Health)
async def health(agent: AgentDep) -> Response:
    """All that the agent says of itself: engines, queue, models, memory."""
    return await _ask(agent, AdminOperation.HEALTH)


@router.get("/models", summary="Which language models are there?", response_model=ModelList)
async def models(agent: AgentDep) -> Response:
    """Each with whether it is loaded."""
    return await _ask(agent, AdminOperation.MODELS_LIST)


@router.post("/models/{name}/load", summary="Load a language model", response_model=ModelList)
async def load(name: ModelName, agent: AgentDep) -> Response:
    """Answered once the model answers."""
    return await _ask(agent, AdminOperation.MODELS_LOAD, name)


@router.post("/models/{name}/unload", summary="Give a language model's memory back", response_model=ModelList)
async def unload(name: ModelName, agent: AgentDep) -> Response:
    """A model that is answering is `busy`."""
    return await _ask(agent, AdminOperation.MODELS_UNLOAD, name)


@router.post("/drain", summary="Let the agent end", response_model=Health)
async def drain(agent: AgentDep) -> Response:
    """It takes nothing more on and finishes what runs; its service manager starts it again."""
    return await _ask(agent, AdminOperation.DRAIN)


async def _ask(agent: AgentDep, operation: AdminOperation, model: str | None = None) -> Response:
    reply = await agent.administer(operation, model=model)
    if reply.status is not Status.OK:
        return failed(reply)
    return JSONResponse(reply.result)
