"""The bridge as an ASGI application: `uvicorn bridge.app:app`, or `python -m bridge` with the settings' limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from agent.client import AgentClient
from agent.watchdog import Watchdog
from bridge.access.access import Access, Gate
from bridge.agent import Agent
from bridge.body_limit import BodyLimit
from bridge.documentation import ASK_PATH, MODELS, asking
from bridge.handlers import add_handlers
from bridge.metrics.collected import Metrics
from bridge.metrics.metered import Metered
from bridge.metrics.tally import Tally
from bridge.openai.documentation import MODELS as OPENAI_MODELS
from bridge.openapi import describe
from bridge.routes import (
    admin,
    ask,
    health,
    metrics,
    openai,
    openai_audio,
    prompt,
    requests,
    sessions,
    templates,
)
from bridge.settings import BridgeSettings
from bridge.state import State
from bridge.waiting import Waiting
from bridge.workers.roll import Roll

_CONTRACT_VERSION = "1"
_FAMILIES = (ask, requests, sessions, templates, prompt, openai, openai_audio, admin, health, metrics)
_ROUTERS = tuple(family.router for family in _FAMILIES)
_ROUTES = tuple(route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute))
_DESCRIPTION = "Ask the agent by text or by voice, and be answered in text or in speech."


def create_app(
    settings: BridgeSettings | None = None,
    *,
    agent: Agent | None = None,
    roll: Roll | None = None,
    access: Access | None = None,
    tally: Tally | None = None,
) -> FastAPI:
    """The bridge, by `settings` or those of the environment; `agent` stands in for the one behind the broker.

    `roll` is where it and the bridge's other workers write down who waits, `access` what they know of who may ask,
    `tally` what they count; without, it is the only one.
    """
    settings, tally = settings or BridgeSettings(), tally or new_tally()

    def lifespan(_: FastAPI) -> AbstractAsyncContextManager[State]:
        client = agent or AgentClient(settings.mqtt, topics=settings.topics, client=settings.client, templates=True)
        return _opened(client, settings, roll=roll or Roll(), access=access or Access(settings), tally=tally)

    # Its /docs and /redoc bring their scripts along: a device at the edge may reach no CDN.
    app = FastAPIOffline(
        title="EdgeVoice",
        version=_CONTRACT_VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    app.add_middleware(Gate)
    app.add_middleware(Metered, routes=_ROUTES, tally=tally)  # the last one added is the first one asked
    add_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    describe(app, [*MODELS, *OPENAI_MODELS], posts={ASK_PATH: asking})
    return app


def new_tally(*, workers: int = 1) -> Tally:
    """What `workers` of this application count in; processes that are forked from this one share it."""
    return Tally(tuple(dict.fromkeys(route.path for route in _ROUTES)), workers=workers)


def __getattr__(name: str) -> FastAPI:
    """`app`, made only when a server asks for it: importing this module reads no settings."""
    if name == "app":
        return create_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@asynccontextmanager
async def _opened(
    agent: Agent, settings: BridgeSettings, *, roll: Roll, access: Access, tally: Tally
) -> AsyncIterator[State]:
    """What the routes have while the bridge serves."""
    async with agent:
        watchdog = Watchdog({"the connection to the broker": lambda: agent.alive})
        watching = asyncio.create_task(watchdog.run(), name="watchdog")
        waiting = Waiting(agent, max_waiting=settings.max_waiting, roll=roll)
        metrics = Metrics(tally, agent, waiting)
        telling = asyncio.create_task(metrics.keep_telling(), name="metrics")
        yield State(settings=settings, access=access, agent=agent, waiting=waiting, metrics=metrics)
        await waiting.close()
        telling.cancel()
        watching.cancel()
