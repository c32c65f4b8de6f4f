"""Real processes for the contract's cases: broker, agent, bridge; and callers over each way in."""

import json
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Stack, StackSettings
from tests.callers import http_caller, mqtt_caller

MODELS = {
    "parrot": {"name": "scripted", "options": {"answer": "{text}"}, "template": "plain"},
    "poet": {"name": "scripted", "options": {"answer": "A rose is a rose is a rose."}, "max_tokens": 4},
    "giant": {"name": "scripted", "options": {"needs_bytes": 2**50}},
}
HEARD = "turn on the kitchen lights"


def scripted(**options):
    return EngineSettings(name="scripted", options=options)


@pytest.fixture(scope="package")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """Broker, agent and bridge with scripted engines that answer at once."""
    settings = StackSettings.scripted(
        stt=scripted(text=HEARD),
        users=("other",),
        operators=("operator", "bridge"),
        environment={"EDGEVOICE_MODELS": json.dumps(MODELS)},
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture(params=["mqtt5", "mqtt311"])
def mqtt(request, stack):
    """A caller on each MQTT version."""
    with mqtt_caller(stack, request.param) as caller:
        yield caller


@pytest.fixture
def mqtt5(stack):
    """A caller on MQTT 5."""
    with mqtt_caller(stack, "mqtt5") as caller:
        yield caller


@pytest.fixture
def http(stack):
    """A caller over HTTP."""
    with http_caller(stack) as caller:
        yield caller


@pytest.fixture(params=["mqtt5", "mqtt311", "http"])
def caller(request, stack):
    """A caller over each way in."""
    opened = http_caller(stack) if request.param == "http" else mqtt_caller(stack, request.param)
    with opened as caller:
        yield caller


@pytest.fixture
def session_id():
    """A conversation that nobody has had before."""
    return uuid.uuid4().hex
