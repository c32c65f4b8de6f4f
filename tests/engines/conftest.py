"""Engines in real worker processes, each closed at the end of its test."""

from contextlib import AsyncExitStack

import pytest

from agent.engines.host import host_for
from agent.settings import Settings


@pytest.fixture
def models_dir():
    return Settings().models_dir


@pytest.fixture
async def hosted(models_dir):
    """Makes a host of an engine, started; its limits may be set by name."""
    async with AsyncExitStack() as hosts:

        async def start(stage, name="scripted", /, *, limits=None, **options):
            how = {
                "models_dir": models_dir,
                "load_timeout_s": 60.0,
                "hang_timeout_s": 60.0,
                "cancel_grace_s": 10.0,
                "environment": {},
                "on_change": lambda: None,
            }
            host = host_for(stage, name, options, **{**how, **(limits or {})})
            hosts.push_async_callback(host.close)
            await host.start()
            return host

        yield start
