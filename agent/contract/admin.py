"""What operators ask of an agent, and what they get."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from agent.contract.messages import PlainText, Vars
from agent.contract.presence import EngineInfo, EngineState, Info, State
from agent.contract.templates import Template
from agent.contract.terms import Id
from agent.contract.topics import MAX_TOPIC_BYTES
from agent.contract.wire import WireModel


class AdminRequest(WireModel):
    """What an operator sends; an empty payload is one without fields."""

    model_config = ConfigDict(extra="forbid")

    v: int = Field(default=1, ge=1, le=1)
    """Version of the contract."""
    id: Id | None = None
    """The operator's name for the call; made up when left out."""
    reply_to: str | None = Field(default=None, min_length=1, max_length=MAX_TOPIC_BYTES)
    """Topic for the reply, below the operator's own reply prefix."""
    model: Id | None = None
    """With `models.…`: the model that is meant."""
    name: Id | None = None
    """With `templates.…`: the template that is meant; `.json` at its end is no part of it."""
    version: int | None = Field(default=None, ge=0)
    """With `templates.get` and `templates.render`: which one; the latest when left out, 0 as shipped."""
    template: Template | None = None
    """With `templates.put`: what is to be saved. With `templates.render`: what is rendered, in place of a saved one."""
    text: PlainText | None = None
    """With `templates.render`: the question; the template's own `user` when left out."""
    vars: Vars = Field(default_factory=dict)
    """With `templates.render`: what goes into the other places."""


class ModelInfo(WireModel):
    """A language model that requests may name."""

    name: str
    """As requests name it."""
    engine: str
    """Its engine, as in the settings."""
    loaded: bool
    """Whether it answers at once; otherwise it is loaded for the first request."""
    info: EngineInfo | None = None
    """What was loaded."""
    state: EngineState | None = None
    """How its process fares."""


class ModelList(WireModel):
    """The language models of an agent."""

    models: list[ModelInfo]
    """The agent's own first."""


class Health(WireModel):
    """All that an agent says of itself, in one answer."""

    info: Info
    """As on its retained topic."""
    state: State
    """As on its retained topic, of this moment."""
    models: list[ModelInfo]
    """The language models."""
    uptime_s: float
    """Since the agent came up [s]."""
    available_bytes: int | None = None
    """Memory that is left on the machine [bytes]."""
