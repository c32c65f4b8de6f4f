"""`cancel`: a caller stops a request of its own; the cancelled run's terminal reply is the answer."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Cancel
from agent.contract.terms import is_id
from agent.journal.entries import RunKey
from agent.pipeline.admission import Admission


def target(payload: bytes) -> str:
    """The id in `payload`: `{"id": …}`, or the bare id. Raises ContractError(bad_request)."""
    bare = payload[:256].decode("utf-8", "replace").strip()
    return bare if is_id(bare) else Cancel.decode(payload).id


def cancel(key: RunKey, admission: Admission) -> None:
    """Stops the run; ContractError(not_found) where none of this id is going on."""
    run = admission.find(key)
    if run is None:
        raise ContractError(ErrorCode.NOT_FOUND, f"no request {key.id} is waiting or running", field="id")
    run.cancel()
