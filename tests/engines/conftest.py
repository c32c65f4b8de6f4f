"""Engines in real worker processes, each closed at the end of its test."""

from contextlib import AsyncExitStack

import pytest

from agent.engines.host import host_for
from agent.engines.settings import EngineSettings
from agent.settings import Settings


@pytest.fixture
def models_dir():
    return Settings().models_dir


@pytest.fixture
async def hosted(models_dir):
    """Makes a host of an engine, started; its settings may be given, and its options by name."""
    async with AsyncExitStack() as hosts:

        async def start(stage, name="scripted", /, *, settings=None, on_change=lambda: None, **options):
            engine = EngineSettings(name=name, options=options, **(settings or {}))
            host = host_for(stage, engine, models_dir, on_change=on_change)
            hosts.push_async_callback(host.close)
            await host.start()
            return host

        yield start
