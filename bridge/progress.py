"""Where a request is on its way, as the bridge tells it."""

from __future__ import annotations

from typing_extensions import Self

from agent.contract.lookup import Found
from agent.contract.reply import Reply
from agent.contract.terms import RunState
from agent.contract.wire import WireModel


class Progress(WireModel):
    """Where a request is on its way."""

    id: str
    """The request's id."""
    state: RunState
    """Whether it waits, runs, or has its outcome."""
    position: int | None = None
    """Requests that will begin before it, while it waits."""
    eta_ms: int | None = None
    """When it will begin, as far as can be told [ms]."""
    reply: Reply | None = None
    """Its outcome, once there is one, with `error` where it failed; left out where it is too large to be looked up:
    the same request again has it."""

    @classmethod
    def of(cls, request_id: str, found: Found, *, reply: bool = True) -> Self:
        """What was `found` of a request, with or without its `reply`."""
        told = found.reply if reply else None
        return cls(id=request_id, state=found.state, position=found.position, eta_ms=found.eta_ms, reply=told)
