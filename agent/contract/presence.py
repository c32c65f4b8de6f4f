"""What an agent says of itself on its retained topics."""

from __future__ import annotations

from pydantic import Field

from agent.contract.limits import Limits
from agent.contract.terms import Phase, Stage
from agent.contract.wire import WireModel


class EngineInfo(WireModel):
    """One engine, as loaded."""

    name: str
    """As in the settings: `pocketsphinx`, `llamacpp`, …"""
    model: str
    """Which model or voice it loaded."""
    version: str | None = None
    """Version of the library."""
    languages: tuple[str, ...] = ()
    """Languages it hears or speaks."""
    voices: tuple[str, ...] = ()
    """Voices to choose from, the default first."""
    sample_rate: int | None = None
    """Of the audio it hears or makes [Hz]."""
    device: str | None = None
    """Where it computes: `cpu`, `cuda:0`, …; for a server, its address."""
    context_window: int | None = None
    """Tokens a conversation and its answer may have."""

    @property
    def label(self) -> str:
        """`name/model`, as replies and logs show it."""
        return f"{self.name}/{self.model}"


class Info(WireModel):
    """Retained on `…/info`: what the agent is and can do."""

    v: int = 1
    """Version of the contract."""
    agent: str
    """The agent's name."""
    version: str
    """EdgeVoice's version."""
    operations: list[str]
    """What may be asked."""
    reply_modes: list[str]
    """How it may be answered."""
    audio_formats: list[str]
    """Containers of audio it reads."""
    speech_formats: tuple[str, ...] = ()
    """How it can write its speech down."""
    limits: Limits
    """How much may be asked."""
    engines: dict[Stage, EngineInfo]
    """Who does each stage."""
    models: tuple[str, ...] = ()
    """Language models that a request may name; `default` is the one of requests that name none."""
    personas: tuple[str, ...] = ()
    """Personas that a request may name."""


class EngineState(WireModel):
    """One engine's process."""

    ready: bool
    """Loaded and answering."""
    busy: int = 0
    """Calls it is in the middle of: clips that are still arriving, and what nobody waits for any more, among them."""
    restarts: int = 0
    """Times it was started again since the agent came up."""
    memory_bytes: int | None = None
    """Resident memory of its process [bytes]."""


class State(WireModel):
    """Retained on `…/state`: how the agent fares; at most one a second."""

    v: int = 1
    """Version of the contract."""
    phase: Phase
    """Where the agent is in its life."""
    accepting: bool
    """Whether a request would be admitted now."""
    queued: int
    """Requests that wait."""
    running: int
    """Requests being worked on."""
    max_queued: int
    """Both together may be this many."""
    queued_bytes: int = 0
    """Size of both together [bytes]."""
    faults: tuple[str, ...] = ()
    """What makes it `degraded`: `journal`, `probe` (the broker delivers nothing), or the stages without an engine."""
    probe_ms: float | None = None
    """What a message to itself by way of the broker took, the last time [ms]."""
    memory_bytes: int | None = None
    """Resident memory of the agent's own process [bytes]."""
    engines: dict[Stage, EngineState] = Field(default_factory=dict)
    """The engines' processes."""
