"""Broker, agent and bridge together, on free ports of the loopback."""

from __future__ import annotations

import asyncio
import http.client
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from typing_extensions import Self

from agent.client import AgentClient
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack import environment
from agent.stack.broker import USERS, Broker
from agent.stack.child import Child
from agent.stack.folder import run_folder
from agent.stack.keeping import keep
from agent.stack.ports import HOST, free_port
from agent.stack.settings import DEMO_USER, Part, StackSettings

_LOOK_S = 0.1


class Stack:
    """Real processes that end with ours; leaving the context stops them in reverse order."""

    def __init__(self, settings: StackSettings | None = None) -> None:
        self.settings = settings or StackSettings()
        self._on_exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        settings = self.settings
        try:
            self.folder = self._on_exit.enter_context(run_folder())
            self.broker = Broker(
                self.folder,
                users=(*USERS, *settings.users),
                operators=settings.operators,
                port=settings.mqtt_port,
                directives=settings.broker,
                devices=settings.devices,
            )
            self.http_port = settings.http_port or free_port()
            self._children: dict[Part, Broker | Child] = {
                Part.BROKER: self.broker,
                Part.AGENT: self._agent(),
                Part.BRIDGE: self._bridge(),
            }
            for part in Part:
                self._on_exit.push_async_callback(self.stop, part)
            for part in settings.parts:
                await self.start(part)
        except BaseException:
            await self._on_exit.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._on_exit.aclose()

    @property
    def topics(self) -> Topics:
        """The agent's topics."""
        return Topics(agent=self.settings.agent)

    @property
    def url(self) -> str:
        """Where the bridge listens."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def client_options(self) -> Path:
        """Folder for XDG_CONFIG_HOME, with which Mosquitto's clients connect as the demo user."""
        return self.broker.client_options(DEMO_USER)

    @property
    def keys_file(self) -> Path:
        """Of the bridge's API keys; there is none at first."""
        return self.folder / "bridge-keys"

    def mqtt(self, user: str = DEMO_USER, *, protocol: Literal["5", "3.1.1"] = "5") -> MqttSettings:
        """How to reach the broker as `user`."""
        return self.broker.mqtt(user, protocol=protocol)

    def pid(self, part: Part) -> int:
        """The process of `part`; ChildError where it does not run."""
        return self._children[part].pid

    def log(self, part: Part) -> Path:
        """Where the output of `part` goes, unless it is shown."""
        return self.folder / f"{part.value}.log"

    async def start(self, part: Part) -> None:
        """Starts `part` and waits until it does its work; UserError with its last words where it does not."""
        await self._children[part].start()

    async def stop(self, part: Part) -> None:
        """Stops `part` in order."""
        await self._children[part].stop()

    async def kill(self, part: Part) -> None:
        """SIGKILL to `part` and whatever it started."""
        await self._children[part].kill()

    async def restart(self, part: Part) -> None:
        """Stops `part`, where it still runs, and starts it again."""
        await self.stop(part)
        await self.start(part)

    async def keep(self, tell: Callable[[str], None]) -> None:
        """Starts again what ends by itself, and tells of it; returns only by ChildError, where that is no use."""
        keeping = [
            asyncio.create_task(
                keep(self._children[part].wait, partial(self.restart, part), tell), name=f"keep[{part.value}]"
            )
            for part in self.settings.parts
        ]
        try:
            done, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)

    def _agent(self) -> Child:
        mqtt, journal = self.mqtt(Part.AGENT.value), self.folder / "journal.db"
        env = environment.of_agent(self.settings, self.topics, mqtt, journal=journal)
        return self._child(Part.AGENT, env, self._agent_is_online, timeout_s=self.settings.agent_timeout_s)

    def _bridge(self) -> Child:
        mqtt = self.mqtt(Part.BRIDGE.value)
        env = environment.of_bridge(self.settings, self.topics, mqtt, port=self.http_port, keys=self.keys_file)
        timeout_s = self.settings.bridge_timeout_s
        return self._child(Part.BRIDGE, env, self._bridge_is_ready, timeout_s=timeout_s, port=self.http_port)

    def _child(
        self,
        part: Part,
        env: Mapping[str, str],
        ready: Callable[[], Awaitable[None]],
        *,
        timeout_s: float,
        port: int | None = None,
    ) -> Child:
        argv = [sys.executable, "-m", part.value]
        log = None if self.settings.show_output else self.log(part)
        return Child(f"the {part.value}", argv, log=log, env=env, port=port, ready=ready, ready_timeout_s=timeout_s)

    async def _agent_is_online(self) -> None:
        async with AgentClient(self.mqtt(), topics=self.topics, client=DEMO_USER) as client:
            await client.online(self.settings.agent_timeout_s)

    async def _bridge_is_ready(self) -> None:
        while True:
            if await asyncio.to_thread(_answers_ok, self.http_port, "/readyz"):
                return
            await asyncio.sleep(_LOOK_S)


def _answers_ok(port: int, path: str) -> bool:
    with closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
