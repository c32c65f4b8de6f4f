"""`/healthz` and `/readyz`: whether the bridge runs, and whether somebody would answer."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from agent.contract.presence import EngineInfo
from agent.contract.terms import Presence, Stage
from agent.contract.wire import WireModel
from bridge.state import AgentDep, SettingsDep

_RETRY_AFTER_S = 1

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The bridge runs."""

    status: str = "ok"


class Readiness(WireModel):
    """Whether a question would be answered now."""

    ready: bool
    """All is there."""
    missing: list[str]
    """What is not: the broker, the agent, its language model."""
    agent: str
    """Who is to answer."""
    engines: dict[Stage, EngineInfo]
    """The agent's engines, as it last announced them."""


@router.get("/healthz", summary="Does the bridge run?")
async def healthz() -> Health:
    """Answered as long as the bridge's process works."""
    return Health()


@router.get("/readyz", summary="Would a question be answered?", responses={503: {"model": Readiness}})
async def readyz(response: Response, agent: AgentDep, settings: SettingsDep) -> Readiness:
    """200 once broker and agent are there, 503 with what is missing before."""
    missing = []
    if not agent.connected:
        missing.append(f"the broker at {settings.mqtt.host}:{settings.mqtt.port}")
    if agent.presence is not Presence.ONLINE:
        missing.append(f"the agent {settings.agent!r}")
    if agent.info and Stage.LLM not in agent.info.engines:
        missing.append("a language model: the agent's log says why")
    if missing:
        response.status_code = 503
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    engines = agent.info.engines if agent.info else {}
    return Readiness(ready=not missing, missing=missing, agent=settings.agent, engines=engines)
