"""What lives as long as the bridge serves, and how the routes get at it."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import Depends, Request

from bridge.access.access import Access
from bridge.agent import Agent
from bridge.metrics.collected import Metrics
from bridge.settings import BridgeSettings
from bridge.waiting import Waiting


class State(TypedDict):
    """What the lifespan opens; a request sees it as `request.state`."""

    settings: BridgeSettings
    access: Access
    agent: Agent
    waiting: Waiting
    metrics: Metrics


def opened(request: Request) -> State:
    """All of it; without a dependency, each of which FastAPI takes as long to solve as a route to be found."""
    state: State = request.scope["state"]
    return state


async def _settings(request: Request) -> BridgeSettings:
    settings: BridgeSettings = request.state.settings
    return settings


async def _agent(request: Request) -> Agent:
    agent: Agent = request.state.agent
    return agent


async def _waiting(request: Request) -> Waiting:
    waiting: Waiting = request.state.waiting
    return waiting


SettingsDep = Annotated[BridgeSettings, Depends(_settings)]
AgentDep = Annotated[Agent, Depends(_agent)]
WaitingDep = Annotated[Waiting, Depends(_waiting)]
