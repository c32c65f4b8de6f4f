"""Broker, agent and bridge together on free loopback ports: for `edgevoice up`, the demo, tests and benchmarks."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from typing_extensions import Self

from agent.broker import HOST, Broker, check_free, free_port, run_folder
from agent.child import Child
from agent.client import AgentClient
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.settings import EngineSettings

DEMO_USER = "demo"
INTERRUPTED = 130
_OURS = ("EDGEVOICE_MQTT", "EDGEVOICE_BRIDGE_MQTT")


class Part(str, Enum):
    """What a stack is made of, in the order of start."""

    BROKER = "broker"
    AGENT = "agent"
    BRIDGE = "bridge"


@dataclass(frozen=True)
class StackSettings:
    """What differs from the settings our own process would read; None leaves those as they are."""

    agent: str = "orin"
    """The agent's name."""
    home: Path | None = None
    """Folder of the models."""
    journal: Path | None = None
    """The journal's file; in the run folder, and gone with it, when left out."""
    stt: EngineSettings | None = None
    """Speech to text."""
    llm: EngineSettings | None = None
    """Language model."""
    tts: EngineSettings | None = None
    """Text to speech."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Anything else for agent and bridge, by the name of its environment variable."""
    users: tuple[str, ...] = ()
    """Broker users beside `agent`, `bridge` and `demo`."""
    broker: Mapping[str, str] = field(default_factory=dict)
    """Directives of the shipped mosquitto.conf to set otherwise."""
    parts: tuple[Part, ...] = tuple(Part)
    """What to start; the rest may be started later by `start`."""
    mqtt_port: int | None = None
    """The broker's port; a free one when left out."""
    http_port: int | None = None
    """The bridge's port; a free one when left out."""
    show_output: bool = False
    """Pass the output of agent and bridge through, instead of to log files."""
    agent_timeout_s: float = 150.0
    """Longest time for the agent to load its engines [s]."""
    bridge_timeout_s: float = 30.0
    """Longest time for the bridge to be ready [s]."""


class Stack:
    """Real processes that end with ours; leaving the context stops them in reverse order."""

    def __init__(self, settings: StackSettings | None = None) -> None:
        self.settings = settings or StackSettings()
        self._on_exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.folder = run_folder()
        self._on_exit.callback(shutil.rmtree, self.folder, ignore_errors=True)
        settings = self.settings
        try:
            users = (Part.AGENT.value, Part.BRIDGE.value, DEMO_USER, *settings.users)
            self.broker = Broker(self.folder, users=users, port=settings.mqtt_port, directives=settings.broker)
            self.http_port = settings.http_port or free_port()
            self._children: dict[Part, Broker | Child] = {
                Part.BROKER: self.broker,
                Part.AGENT: self._child(Part.AGENT, self._agent_environment()),
                Part.BRIDGE: self._child(Part.BRIDGE, self._bridge_environment()),
            }
            for part in Part:
                self._on_exit.push_async_callback(self._children[part].stop)
            for part in settings.parts:
                await self.start(part)
        except BaseException:
            await self._on_exit.aclose()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
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

    def mqtt(self, user: str = DEMO_USER, *, protocol: Literal["5", "3.1.1"] = "5") -> MqttSettings:
        """How to reach the broker as `user`."""
        password_file = self.broker.password_file(user)
        return MqttSettings(
            host=HOST, port=self.broker.port, username=user, password_file=password_file, protocol=protocol
        )

    def pid(self, part: Part) -> int:
        """The process of `part`; ChildError where it does not run."""
        return self._children[part].pid

    def log(self, part: Part) -> Path:
        """Where the output of `part` goes, unless it is shown."""
        return self.folder / f"{part.value}.log"

    async def start(self, part: Part) -> None:
        """Starts `part` and waits until it does its work; ChildError with its last words where it does not."""
        child = self._children[part]
        if part is Part.BRIDGE:
            check_free(self.http_port)
        await child.start()
        if isinstance(child, Broker):
            return
        if part is Part.AGENT:
            await child.until(self._agent_is_online(), timeout_s=self.settings.agent_timeout_s)
        else:
            await child.until(self._bridge_is_ready(), timeout_s=self.settings.bridge_timeout_s)

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

    async def wait(self) -> None:
        """Returns only by ChildError, as soon as one of the started parts has ended by itself."""
        waits = [asyncio.ensure_future(self._children[part].wait()) for part in self.settings.parts]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _child(self, part: Part, changes: Mapping[str, str]) -> Child:
        changes = {**changes, **self.settings.environment}
        inherited = {name: value for name, value in os.environ.items() if not _overridden(name, changes)}
        argv = [sys.executable, "-m", part.value]
        log = None if self.settings.show_output else self.log(part)
        return Child(f"the {part.value}", argv, log=log, env={**inherited, **changes})

    def _agent_environment(self) -> dict[str, str]:
        settings = self.settings
        engines = {"STT": settings.stt, "LLM": settings.llm, "TTS": settings.tts}
        return {
            "EDGEVOICE_AGENT": self.topics.agent,
            "EDGEVOICE_BASE": self.topics.base,
            "EDGEVOICE_JOURNAL__PATH": str(settings.journal or self.folder / "journal.db"),
            **({"EDGEVOICE_HOME": str(settings.home)} if settings.home else {}),
            **{f"EDGEVOICE_{stage}": engine.model_dump_json() for stage, engine in engines.items() if engine},
            **dict(self._mqtt_environment("EDGEVOICE_MQTT__", Part.AGENT)),
        }

    def _bridge_environment(self) -> dict[str, str]:
        return {
            "EDGEVOICE_BRIDGE_AGENT": self.topics.agent,
            "EDGEVOICE_BRIDGE_BASE": self.topics.base,
            "EDGEVOICE_BRIDGE_HOST": HOST,
            "EDGEVOICE_BRIDGE_PORT": str(self.http_port),
            **dict(self._mqtt_environment("EDGEVOICE_BRIDGE_MQTT__", Part.BRIDGE)),
        }

    def _mqtt_environment(self, prefix: str, user: Part) -> Iterator[tuple[str, str]]:
        # Every field, so that nothing of a broker named in `.env` is mixed in.
        mqtt = self.mqtt(user.value)
        for name, value in mqtt.model_dump(mode="json", exclude_none=True).items():
            yield f"{prefix}{name.upper()}", str(value)

    async def _agent_is_online(self) -> None:
        async with AgentClient(self.mqtt(), topics=self.topics, client=DEMO_USER) as client:
            await client.online(self.settings.agent_timeout_s)

    async def _bridge_is_ready(self) -> None:
        while True:
            if await asyncio.to_thread(_answers_ok, self.http_port, "/readyz"):
                return
            await asyncio.sleep(0.1)


async def until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """The exit status of `work`; SIGINT or SIGTERM cancel it, so that it cleans up, and give 130."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _overridden(name: str, changes: Mapping[str, str]) -> bool:
    """Whether an inherited variable would be mixed into what we set: the same name, or a field of it."""
    return name.startswith(_OURS) or any(name == change or name.startswith(f"{change}__") for change in changes)


def _answers_ok(port: int, path: str) -> bool:
    with closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
