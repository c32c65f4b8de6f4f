"""`/v1/sessions…`: the conversations of a key, as the agent remembers them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse

from agent.contract.limits import MAX_TURNS_TOLD
from agent.contract.sessions import SessionCall, SessionConfig, SessionHistory, SessionInfo, SessionList
from agent.contract.terms import ID_PATTERN, SessionOperation, Status
from bridge.access.access import Caller, CallerDep
from bridge.agent import Agent
from bridge.documentation import CONFIG_REQUEST, RESET_REQUEST
from bridge.errors import failed
from bridge.intake import read_json
from bridge.openapi import PROBLEMS
from bridge.state import AgentDep

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)
SessionId = Annotated[str, Path(pattern=ID_PATTERN, description="The `session_id` of its requests.")]
Last = Annotated[int, Query(ge=1, le=MAX_TURNS_TOLD, description="How many, the latest.")]


@router.get("", summary="Which conversations are there?", response_model=SessionList)
async def list_sessions(caller: CallerDep, agent: AgentDep, last: Last = MAX_TURNS_TOLD) -> Response:
    """The latest first."""
    return await _call(agent, caller, SessionCall(op=SessionOperation.LIST, last=last))


@router.get("/{session_id}", summary="What was said?", response_model=SessionHistory)
async def get(session_id: SessionId, caller: CallerDep, agent: AgentDep, last: Last = MAX_TURNS_TOLD) -> Response:
    """Questions and answers, oldest first; of an answer that was cut off, what was heard."""
    return await _call(agent, caller, SessionCall(op=SessionOperation.GET, session_id=session_id, last=last))


@router.delete("/{session_id}", summary="Forget a conversation", response_model=SessionInfo)
async def delete(session_id: SessionId, caller: CallerDep, agent: AgentDep) -> Response:
    """With its configuration."""
    return await _call(agent, caller, SessionCall(op=SessionOperation.DELETE, session_id=session_id))


@router.post(
    "/{session_id}/reset",
    summary="Begin a conversation anew",
    response_model=SessionInfo,
    openapi_extra=RESET_REQUEST,
)
async def reset(session_id: SessionId, http: HttpRequest, caller: CallerDep, agent: AgentDep) -> Response:
    """As it is configured, or as the body says."""
    config = SessionConfig.decode(await read_json(http)) if await http.body() else None
    call = SessionCall(op=SessionOperation.RESET, session_id=session_id, config=config)
    return await _call(agent, caller, call)


@router.put(
    "/{session_id}/config",
    summary="Say how its requests are answered",
    response_model=SessionInfo,
    openapi_extra=CONFIG_REQUEST,
)
async def configure(session_id: SessionId, http: HttpRequest, caller: CallerDep, agent: AgentDep) -> Response:
    """In place of what was configured; a request that says itself goes first. The conversation need not have begun."""
    config = SessionConfig.decode(await read_json(http))
    call = SessionCall(op=SessionOperation.CONFIG, session_id=session_id, config=config)
    return await _call(agent, caller, call)


async def _call(agent: Agent, caller: Caller, asked: SessionCall) -> Response:
    reply = await agent.converse(asked, client=caller.client)
    return JSONResponse(reply.result) if reply.status is Status.OK else failed(reply)
