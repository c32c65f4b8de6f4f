"""Fixtures that every test may use."""

import shutil

import hypothesis
import pytest

from agent.broker import Broker, run_folder

hypothesis.settings.register_profile("edgevoice", deadline=None)
hypothesis.settings.load_profile("edgevoice")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def broker():
    """A Mosquitto from the shipped files, with the users `agent`, `bridge` and `demo`."""
    folder = run_folder()
    try:
        async with Broker(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
