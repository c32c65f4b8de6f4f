"""The bridge on a stand-in for the agent: called directly, or as a real server on a free port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from bridge.app import create_app
from bridge.server import server_of
from bridge.settings import BridgeSettings
from tests.bridge.fakes import FakeAgent


@pytest.fixture
async def agent():
    return FakeAgent()


@pytest.fixture
def settings(tmp_path):
    keys_file = tmp_path / "bridge-keys"
    return BridgeSettings(max_body_bytes=100_000, body_timeout_s=0.2, max_waiting=3, keys_file=keys_file)


@asynccontextmanager
async def calling(
    settings: BridgeSettings,
    agent: FakeAgent,
    *,
    base_url: str = "http://127.0.0.1",
    address: str = "127.0.0.1",
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application, which it sees at `address`, without a server between."""
    app = create_app(settings, agent=agent)
    async with app.router.lifespan_context(app) as state:

        async def app_with_state(scope, receive, send):
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(app_with_state, raise_app_exceptions=False, client=(address, 5))
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client


@pytest.fixture
async def http(settings, agent):
    async with calling(settings, agent) as client:
        yield client


@asynccontextmanager
async def serving(
    settings: BridgeSettings, agent: FakeAgent, *, grace_s: int | None = None
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """A real server, and the port it listens on."""
    app = create_app(settings, agent=agent)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = server_of(
            app, settings if grace_s is None else settings.model_copy(update={"graceful_shutdown_s": grace_s})
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield server, listener.getsockname()[1]
        server.should_exit = True
        agent.answers.set()
        await running


@pytest.fixture
async def port(settings, agent):
    """Where a real server listens."""
    async with serving(settings, agent) as (_, port):
        yield port
