"""Who is asked: EdgeVoice with engines that take no time, and the two echoes that are its floor."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from functools import partial

from agent.client import AgentClient
from agent.stack import DEMO_USER, Stack, StackSettings
from agent.stack.child import Child
from agent.stack.ports import free_port, until_listening
from benchmarks import echo
from benchmarks.http_load import HttpLoad
from benchmarks.load import Load
from benchmarks.mqtt_load import MqttLoad

_READY_TIMEOUT_S = 30.0
_ECHOED = b'"id":"'
_ANSWERED = b'"status":"ok"'


class Peer(str, Enum):
    """Who answers, in the order of turns."""

    PAHO = "bare paho echo"
    MQTT = "EdgeVoice over MQTT"
    FASTAPI = "bare FastAPI echo"
    HTTP = "EdgeVoice over HTTP"


FLOORS: Mapping[Peer, Sequence[Peer]] = {
    Peer.PAHO: (),
    Peer.MQTT: (Peer.PAHO,),
    Peer.FASTAPI: (),
    Peer.HTTP: (Peer.FASTAPI, Peer.PAHO),
}
"""Whose ways a request to a peer has to go, one after the other."""


@asynccontextmanager
async def peers(directives: Mapping[str, str]) -> AsyncIterator[dict[Peer, Load]]:
    """Every peer, in processes of its own, around one Mosquitto that differs from the shipped one by `directives`."""
    settings = StackSettings.scripted(broker=directives)
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(settings))
        demo, agent = stack.mqtt(), stack.mqtt("agent")
        port = free_port()
        client = await exits.enter_async_context(AgentClient(demo, topics=echo.TOPICS, client=DEMO_USER))
        echo_online, app_listens = partial(client.online, _READY_TIMEOUT_S), partial(until_listening, port)
        await exits.enter_async_context(_running(stack, "benchmarks.echo", agent.model_dump_json(), ready=echo_online))
        await exits.enter_async_context(_running(stack, "benchmarks.bare_app", str(port), ready=app_listens))
        yield {
            Peer.PAHO: exits.enter_context(MqttLoad.connected(demo, echo.TOPICS, _ECHOED)),
            Peer.MQTT: exits.enter_context(MqttLoad.connected(demo, stack.topics, _ANSWERED)),
            Peer.FASTAPI: HttpLoad(port, _ECHOED),
            Peer.HTTP: HttpLoad(stack.http_port, _ANSWERED),
        }


@asynccontextmanager
async def _running(
    stack: Stack, module: str, argument: str, *, ready: Callable[[], Awaitable[object]]
) -> AsyncIterator[None]:
    argv, log = [sys.executable, "-m", module, argument], stack.folder / f"{module}.log"
    child = Child(module, argv, log=log, ready=ready, ready_timeout_s=_READY_TIMEOUT_S)
    await child.start()
    try:
        yield
    finally:
        await child.stop()
