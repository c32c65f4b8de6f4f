"""Which engine does a stage, and how its process is kept."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.contract.messages import Sampling

AUTO = "auto"
"""Instead of an engine's name: the best that can be loaded here."""


class EngineSettings(BaseModel):
    """Which engine does a stage, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = AUTO
    """Engine; `auto` takes the best that is installed and has its model."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The engine's own options; `edgevoice settings` lists them."""
    load_timeout_s: float = Field(default=120.0, gt=0)
    """Longest time to load the model [s]; past it the engine's process is started anew."""
    hang_timeout_s: float = Field(default=60.0, gt=0)
    """Longest silence of a busy engine [s]; past it its process is started anew."""
    cancel_grace_s: float = Field(default=5.0, gt=0)
    """How long a cancelled call may go on [s]; past it the engine's process is started anew."""
    workers: int | None = Field(default=None, ge=1, le=16)
    """Processes of an engine for speech; left out, one for every four cores, 1 to 4, where it computes on one core."""
    environment: dict[str, str] = Field(default_factory=lambda: {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"})
    """Environment of the engine's process, beside the agent's own."""

    @property
    def asked_for(self) -> bool:
        """Whether somebody chose: then it is an error, and not just a pity, where it cannot be loaded."""
        return self.name != AUTO or bool(self.options)


class SamplingSettings(Sampling):
    """How a language model picks its words, where a request does not say."""

    model_config = ConfigDict(strict=False)  # an environment variable is text

    @property
    def sampling(self) -> Sampling:
        """The same, as requests have it."""
        return Sampling(**{name: getattr(self, name) for name in Sampling.model_fields})


class LanguageModelSettings(SamplingSettings, EngineSettings):
    """Which engine answers with which model, and how it is asked."""

    workers: Literal[1] | None = None
    """Processes: always one, which answers as many at once as its options say."""
    template: str | None = None
    """How a conversation becomes a prompt: chatml, llama-3, mistral, plain or Jinja; the engine's own when left out."""
    system: str | None = None
    """Instruction to this model, in place of the one in `chat`; empty for none."""


class RegisteredModel(LanguageModelSettings):
    """One more language model, for requests that name it."""

    load: Literal["start", "demand"] = "demand"
    """When it is loaded: with the agent, or when a request or an operator first wants it."""


class MemorySettings(BaseModel):
    """How much memory engines may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: bool = True
    """Refuse to load what would not fit, by the size of its files."""
    reserve_bytes: int = Field(default=256 * 2**20, ge=0)
    """What must stay free beside every engine [bytes]."""
