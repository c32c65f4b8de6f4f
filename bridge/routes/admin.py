"""`/v1/admin/…`: what operators may ask of the agent, where the bridge is told to let them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from agent.contract.admin import AdminRequest, Health, ModelList
from agent.contract.terms import ID_PATTERN, AdminOperation
from bridge.openapi import PROBLEMS
from bridge.operators import administer, check_operator
from bridge.state import AgentDep

router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(check_operator)],
    responses=PROBLEMS,
)
ModelName = Annotated[str, Path(pattern=ID_PATTERN, description="One of those that `/v1/admin/models` lists.")]


@router.get("/health", summary="How does the agent fare?", response_model=Health)
async def health(agent: AgentDep) -> Response:
    """All that the agent says of itself: engines, queue, models, memory."""
    return await administer(agent, AdminOperation.HEALTH)


@router.get("/models", summary="Which language models are there?", response_model=ModelList)
async def models(agent: AgentDep) -> Response:
    """Each with whether it is loaded."""
    return await administer(agent, AdminOperation.MODELS_LIST)


@router.post("/models/{name}/load", summary="Load a language model", response_model=ModelList)
async def load(name: ModelName, agent: AgentDep) -> Response:
    """Answered once the model answers."""
    return await administer(agent, AdminOperation.MODELS_LOAD, AdminRequest(model=name))


@router.post("/models/{name}/unload", summary="Give a language model's memory back", response_model=ModelList)
async def unload(name: ModelName, agent: AgentDep) -> Response:
    """A model that is answering is `busy`."""
    return await administer(agent, AdminOperation.MODELS_UNLOAD, AdminRequest(model=name))


@router.post("/drain", summary="Let the agent end", response_model=Health)
async def drain(agent: AgentDep) -> Response:
    """It takes nothing more on and finishes what runs; its service manager starts it again."""
    return await administer(agent, AdminOperation.DRAIN)
