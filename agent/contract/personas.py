"""Personas: how requests are answered that do not say themselves."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from agent.contract.messages import Request, Sampling, Text
from agent.contract.terms import Id, Overflow
from agent.contract.wire import WireModel

_SAID_BY_A_REQUEST = ("model", "system", "language", "on_overflow", "template")


class Persona(WireModel):
    """Who answers; every field is for requests that leave it open."""

    model_config = ConfigDict(extra="forbid")

    model: Id | None = None
    """One of the models in `info`."""
    system: Text | None = None
    """Instruction to the language model."""
    template: Id | None = None
    """The prompt template that the question is put into."""
    language: str | None = Field(default=None, pattern=Request.model_fields["language"].metadata[0].pattern)
    """Language of the speech."""
    voice: str | None = Field(default=None, min_length=1, max_length=64)
    """One of the voices in `info`."""
    on_overflow: Overflow | None = None
    """What becomes of a conversation that does not fit into the model's window."""
    params: Sampling = Sampling()
    """How the language model picks its words."""

    def applied_to(self, request: Request) -> Request:
        """`request`, with what it leaves open as it is here."""
        own: dict[str, Any] = {"params": request.params.over(self.params)}
        for name in _SAID_BY_A_REQUEST:
            if getattr(request, name) is None:
                own[name] = getattr(self, name)
        if request.tts.voice is None and self.voice:
            own["tts"] = request.tts.model_copy(update={"voice": self.voice})
        return request.model_copy(update=own)
