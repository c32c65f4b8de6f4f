"""What a stack is made of, and what may differ in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from agent.contract.terms import DEFAULT_AGENT
from agent.engines.settings import EngineSettings

DEMO_USER = "demo"


class Part(str, Enum):
    """What a stack is made of, in the order of start."""

    BROKER = "broker"
    AGENT = "agent"
    BRIDGE = "bridge"


@dataclass(frozen=True)
class StackSettings:
    """What differs from the settings our own process would read; None leaves those as they are."""

    agent: str = DEFAULT_AGENT
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
    """Broker users beside `agent`, `bridge`, `demo` and the operators."""
    operators: tuple[str, ...] = ("operator",)
    """Broker users who may make operators' calls; with `bridge` among them, so may its callers."""
    broker: Mapping[str, str] = field(default_factory=dict)
    """Directives of the shipped mosquitto.conf to set otherwise."""
    devices: bool = False
    """Whether the broker has listeners for devices, too: TLS, with password or certificate."""
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

    @classmethod
    def scripted(cls, **changes: Any) -> StackSettings:
        """Engines that need no model and answer at once, requests that stand alone, and `changes` to that.

        Answers repeat what they are told to, with nobody who takes that for a loop or another's turn.
        """
        engine = EngineSettings(name="scripted")
        environment = {
            "EDGEVOICE_SESSIONS__UNNAMED_IDLE_S": "0",
            "EDGEVOICE_CHAT__GUARDS__LOOPS": "false",
            "EDGEVOICE_CHAT__GUARDS__ROLE_MARKERS": "false",
            **changes.pop("environment", {}),
        }
        return cls(**{"stt": engine, "llm": engine, "tts": engine, "environment": environment, **changes})
