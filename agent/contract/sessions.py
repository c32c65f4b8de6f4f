"""Conversations as callers see them: what they may have done with one, and what they get."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self

from agent.contract.limits import MAX_TURNS_TOLD
from agent.contract.messages import Message
from agent.contract.personas import Persona
from agent.contract.terms import Id, SessionOperation
from agent.contract.topics import MAX_TOPIC_BYTES
from agent.contract.wire import WireModel


class SessionConfig(Persona):
    """How the requests of a conversation are answered that do not say themselves."""

    persona: Id | None = None
    """One of the personas in `info`, for what is not said here."""


class SessionCall(WireModel):
    """What a caller asks of its conversations."""

    model_config = ConfigDict(extra="forbid")

    v: int = Field(default=1, ge=1, le=1)
    """Version of the contract."""
    id: Id | None = None
    """The caller's name for this call, whose reply goes to its topic; made up when left out."""
    reply_to: str | None = Field(default=None, min_length=1, max_length=MAX_TOPIC_BYTES)
    """Topic for the reply, below the caller's own reply prefix."""
    op: SessionOperation
    """What is to be done."""
    session_id: Id | None = None
    """The conversation; the one of requests that name none when left out."""
    config: SessionConfig | None = None
    """With `config` and `reset`: how its requests are to be answered from now on."""
    last: int = Field(default=MAX_TURNS_TOLD, ge=1, le=MAX_TURNS_TOLD)
    """With `get`, the latest turns that are wanted; with `list`, the latest conversations."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.config is not None and self.op not in {SessionOperation.CONFIG, SessionOperation.RESET}:
            raise ValueError(f"config does not go with {self.op.value}")
        if self.op is SessionOperation.LIST and self.session_id is not None:
            raise ValueError("list tells of all conversations: leave out session_id")
        return self


class SessionInfo(WireModel):
    """A conversation, but for what was said in it."""

    session_id: str
    """Its name."""
    turns: int
    """Questions that were answered in it."""
    created_at: float | None = None
    """When it began [s since 1970]."""
    used_at: float | None = None
    """When its last turn ended [s since 1970]."""
    config: SessionConfig = SessionConfig()
    """How its requests are answered."""


class SessionList(WireModel):
    """The conversations of a caller."""

    sessions: list[SessionInfo]
    """The latest first."""


class SessionHistory(SessionInfo):
    """A conversation."""

    messages: tuple[Message, ...] = ()
    """What was said, oldest first; only the latest turns where there are more than asked for."""
    summary: str | None = None
    """What was said earlier, in short, where it was put in short."""
