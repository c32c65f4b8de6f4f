"""Who is asked: EdgeVoice with engines that take no time, the echoes that are its floor, and what is usual instead."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from functools import partial

from agent.client import AgentClient
from agent.contract.topics import Topics
from agent.stack import DEMO_USER, Part, Stack, StackSettings
from agent.stack.child import Child
from agent.stack.environment import of_bridge
from agent.stack.ports import free_port, until_listening
from benchmarks.asking import Load
from benchmarks.http_load import HttpLoad
from benchmarks.metered import Metered
from benchmarks.mqtt_load import MqttLoad
from benchmarks.peers.echo import Echo
from benchmarks.process_memory import children

_READY_TIMEOUT_S = 30.0
_ECHOED = b'"id":"'
_ANSWERED = b'"status":"ok"'


class Peer(str, Enum):
    """Who answers, in the order of turns."""

    PAHO = "bare paho echo"
    AS_IT_COMES = "the same, as it comes"
    MQTT = "EdgeVoice over MQTT"
    FASTAPI = "bare FastAPI echo"
    NAIVE = "a client a request, echo"
    BRIDGE = "our bridge, echo"
    HTTP = "EdgeVoice over HTTP"


FLOORS: Mapping[Peer, Sequence[Peer]] = {
    Peer.PAHO: (),
    Peer.AS_IT_COMES: (Peer.PAHO,),
    Peer.MQTT: (Peer.PAHO,),
    Peer.FASTAPI: (),
    Peer.NAIVE: (Peer.FASTAPI, Peer.PAHO),
    Peer.BRIDGE: (Peer.FASTAPI, Peer.PAHO),
    Peer.HTTP: (Peer.FASTAPI, Peer.PAHO),
}
"""Whose ways a request to a peer has to go, one after the other."""

_TUNED = Echo(name="echo")
_AS_IT_COMES = Echo(name="echo-as-it-comes", tuned=False)
_OF_BRIDGE = Echo(name="echo-of-bridge", client=Part.BRIDGE.value)


@asynccontextmanager
async def peers(directives: Mapping[str, str]) -> AsyncIterator[dict[Peer, Load]]:
    """Every peer, in processes of its own, around one Mosquitto that differs from the shipped one by `directives`."""
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(StackSettings.scripted(broker=directives)))
        demo, broker, agent = stack.mqtt(), (stack.pid(Part.BROKER),), stack.pid(Part.AGENT)
        paho, as_it_comes, before_bridge = [
            await exits.enter_async_context(echoing(stack, echo)) for echo in (_TUNED, _AS_IT_COMES, _OF_BRIDGE)
        ]
        app, app_port = await exits.enter_async_context(server(stack, "benchmarks.peers.bare_app"))
        naive_asks = (demo.model_dump_json(), _TUNED.name)
        naive, naive_port = await exits.enter_async_context(server(stack, "benchmarks.peers.naive_bridge", *naive_asks))
        bridge, bridge_port = await exits.enter_async_context(_bridge(stack, _OF_BRIDGE.topics))

        def over_mqtt(topics: Topics, expected: bytes = _ECHOED, *, tuned: bool = True) -> Load:
            return exits.enter_context(MqttLoad.connected(demo, topics, expected, tuned=tuned))

        of_agent = {"broker": broker, "agent": (agent,), "engines": tuple(children(agent))}
        loads: dict[Peer, tuple[Load, Mapping[str, tuple[int, ...]]]] = {
            Peer.PAHO: (over_mqtt(_TUNED.topics), {"broker": broker, "echo": (paho,)}),
            Peer.AS_IT_COMES: (
                over_mqtt(_AS_IT_COMES.topics, tuned=False),
                {"broker": broker, "echo": (as_it_comes,)},
            ),
            Peer.MQTT: (over_mqtt(stack.topics, _ANSWERED), of_agent),
            Peer.FASTAPI: (HttpLoad(app_port, _ECHOED), {"bridge": (app,)}),
            Peer.NAIVE: (HttpLoad(naive_port, _ANSWERED), {"broker": broker, "echo": (paho,), "bridge": (naive,)}),
            Peer.BRIDGE: (
                HttpLoad(bridge_port, _ANSWERED),
                {"broker": broker, "echo": (before_bridge,), "bridge": (bridge,)},
            ),
            Peer.HTTP: (HttpLoad(stack.http_port, _ANSWERED), {**of_agent, "bridge": (stack.pid(Part.BRIDGE),)}),
        }
        yield {peer: Metered(load, pids) for peer, (load, pids) in loads.items()}


@asynccontextmanager
async def echoing(stack: Stack, echo: Echo) -> AsyncIterator[int]:
    """The process of an echo behind the stack's broker."""
    arguments = (echo.model_dump_json(), stack.mqtt(Part.AGENT.value).model_dump_json())
    async with AgentClient(stack.mqtt(), topics=echo.topics, client=DEMO_USER) as client:
        online = partial(client.online, _READY_TIMEOUT_S)
        async with _running(stack, "benchmarks.peers.echo", *arguments, ready=online) as pid:
            yield pid


@asynccontextmanager
async def _bridge(stack: Stack, topics: Topics) -> AsyncIterator[tuple[int, int]]:
    """The process of one more bridge on the stack's broker, before another agent, and its port."""
    port = free_port()
    env = of_bridge(stack.settings, topics, stack.mqtt(Part.BRIDGE.value), port=port, keys=stack.keys_file)
    async with _running(stack, "bridge", ready=partial(until_listening, port), env=env) as pid:
        yield pid, port


@asynccontextmanager
async def server(stack: Stack, module: str, *arguments: str) -> AsyncIterator[tuple[int, int]]:
    """The process of a web server, and its port, which is its last argument."""
    port = free_port()
    listens = partial(until_listening, port)
    async with _running(stack, module, *arguments, str(port), ready=listens) as pid:
        yield pid, port


@asynccontextmanager
async def _running(
    stack: Stack,
    module: str,
    *arguments: str,
    ready: Callable[[], Awaitable[object]],
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[int]:
    argv, log = [sys.executable, "-m", module, *arguments], stack.folder / f"{module}-{uuid.uuid4().hex[:8]}.log"
    child = Child(module, argv, log=log, env=env, ready=ready, ready_timeout_s=_READY_TIMEOUT_S)
    async with child:
        yield child.pid
