"""What became of a request: the answer to a lookup, in the `result` of its reply."""

from __future__ import annotations

from agent.contract.reply import Reply
from agent.contract.terms import RunState
from agent.contract.wire import WireModel


class Found(WireModel):
    """Where a request is on its way."""

    state: RunState
    """Whether it still arrives, waits, runs, or has its outcome."""
    position: int | None = None
    """Requests that will begin before it, while it waits."""
    eta_ms: int | None = None
    """When it will begin, as far as can be told [ms]."""
    reply: Reply | None = None
    """Its outcome, once there is one."""
