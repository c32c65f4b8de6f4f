"""`/v1/requests/{id}`: what became of a request that was asked before, at whichever worker, and how to stop it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi import Request as HttpRequest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.lookup import Found
from agent.contract.terms import ID_PATTERN, RunState
from bridge.access.access import Caller, CallerDep
from bridge.agent import Agent
from bridge.negotiation import JSON
from bridge.openapi import PROBLEMS
from bridge.progress import Progress
from bridge.state import AgentDep

router = APIRouter(prefix="/v1/requests", tags=["ask"], responses=PROBLEMS)
RequestId = Annotated[str, Path(pattern=ID_PATTERN, description="Its `id`, or the `Idempotency-Key` it came with.")]
PlayedMs = Annotated[int | None, Query(ge=0, description="How much of its speech was played [ms].")]
LastSeq = Annotated[int | None, Query(ge=0, description="The last chunk of its speech that was played to its end.")]
_STOPPING = 202


@router.get("/{request_id}", summary="What became of a request?", response_model=Progress)
async def look_up(http: HttpRequest, request_id: RequestId, caller: CallerDep, agent: AgentDep) -> Response:
    """Where it is on its way, as the agent says; with its `reply` once there is one, be it a failure.

    The agent remembers a request for an hour. 404: it does not know it, so ask again.
    """
    http.state.request_id = request_id
    return _told(request_id, await _find(agent, caller, request_id))


@router.delete(
    "/{request_id}",
    summary="Stop a request",
    response_model=Progress,
    responses={_STOPPING: {"model": Progress, "description": "It is being stopped."}},
)
async def stop(
    http: HttpRequest,
    request_id: RequestId,
    caller: CallerDep,
    agent: AgentDep,
    *,
    played_ms: PlayedMs = None,
    last_seq: LastSeq = None,
) -> Response:
    """200 with what became of it, or 202 while the agent is still stopping it. Whoever waits is told `cancelled`.

    `heard_text` of its reply goes as far as was played.
    """
    http.state.request_id = request_id
    found = await _find(agent, caller, request_id)
    if found.state is not RunState.DONE:
        agent.cancel(request_id, client=caller.client, played_ms=played_ms, last_seq=last_seq)
        found = await _find(agent, caller, request_id)
    return _told(request_id, found, status=200 if found.state is RunState.DONE else _STOPPING)


async def _find(agent: Agent, caller: Caller, request_id: str) -> Found:
    found = await agent.lookup(request_id, client=caller.client)
    if found is None:
        message = f"the agent knows no request {request_id} of yours; whoever wants its answer sends it again"
        raise ContractError(ErrorCode.NOT_FOUND, message, field="id")
    return found


def _told(request_id: str, found: Found, *, status: int = 200) -> Response:
    return Response(Progress.of(request_id, found).encode(), status, media_type=JSON)
