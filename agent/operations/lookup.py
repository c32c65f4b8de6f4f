"""`lookup`: a caller learns what became of a request of its own, without asking it again."""

from __future__ import annotations

from collections.abc import Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.lookup import Found
from agent.contract.messages import Lookup
from agent.contract.reply import Reply
from agent.contract.terms import RunState
from agent.journal.entries import Answered, RunKey
from agent.operations.in_short import bare_id
from agent.pipeline.admission import Admission


def read(payload: bytes) -> Lookup:
    """Which request `payload` means: JSON, or a bare id. Raises ContractError."""
    if found := bare_id(payload, what="a lookup", field="request_id"):
        return Lookup(request_id=found)
    asked = Lookup.decode(payload)
    if asked.id == asked.request_id:
        message = "the lookup needs an id of its own: its answer would look like the request's"
        raise ContractError(ErrorCode.BAD_REQUEST, message, field="id")
    return asked


def look_up(
    key: RunKey, admission: Admission, answered: Callable[[RunKey], Answered | None], *, arriving: bool = False
) -> Found:
    """Where the request is on its way; ContractError(not_found) where nobody knows it.

    `answered` gives the outcomes that are remembered; `arriving`: its clip is still on its way.
    """
    if run := admission.find(key):
        standing = admission.standing(run)
        return Found(state=standing.state, position=standing.position, eta_ms=standing.eta_ms)
    if arriving:
        return Found(state=RunState.ARRIVING)
    if outcome := answered(key):
        return Found(state=RunState.DONE, reply=Reply.decode(outcome.reply))
    raise ContractError(ErrorCode.NOT_FOUND, f"no request {key.id} is known; send it again", field="request_id")
