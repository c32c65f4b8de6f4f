"""Agents of the same make around one broker, which differ in what is to be compared."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.client import AgentClient
from agent.contract.topics import Topics
from agent.stack import DEMO_USER, Stack
from agent.stack.child import Child
from agent.stack.environment import of_agent
from agent.stack.settings import Part

_READY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Make:
    """How an agent differs from the others."""

    module: str = Part.AGENT.value
    """What Python runs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its own settings, by the names of their environment variables."""


@asynccontextmanager
async def running(stack: Stack, name: str, make: Make, *, folder: Path) -> AsyncIterator[Topics]:
    """One more agent, online, on the stack's broker; its journal is in `folder`."""
    settings = replace(stack.settings, environment={**stack.settings.environment, **make.environment})
    topics = Topics(agent=name)
    env = of_agent(settings, topics, stack.mqtt(Part.AGENT.value), journal=folder / f"{name}.db")

    async def online() -> None:
        async with AgentClient(stack.mqtt(), topics=topics, client=DEMO_USER) as client:
            await client.online(_READY_TIMEOUT_S)

    argv, log = [sys.executable, "-m", make.module], stack.folder / f"{name}.log"
    child = Child(f"the agent {name}", argv, log=log, env=env, ready=online, ready_timeout_s=_READY_TIMEOUT_S)
    async with child:
        yield topics
