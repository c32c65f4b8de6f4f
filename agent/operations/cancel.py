"""`cancel`: a caller stops a request of its own; the cancelled run's terminal reply is the answer."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Cancel
from agent.journal.entries import RunKey
from agent.operations.in_short import bare_id
from agent.pipeline.admission import Admission
from agent.pipeline.played import Played
from agent.pipeline.run import Run


def read(payload: bytes) -> Cancel:
    """Which requests `payload` means: JSON, or a bare id. Raises ContractError."""
    if found := bare_id(payload, what="a cancel", field="id"):
        return Cancel(id=found)
    return Cancel.decode(payload)


def cancel(client: str, asked: Cancel, admission: Admission) -> None:
    """Stops what `asked` means of the requests of `client`; ContractError(not_found) where the one of an id is not."""
    told = asked.played_ms is not None or asked.last_seq is not None
    played = Played(asked.played_ms, asked.last_seq) if told else None
    if asked.id is not None:
        run = admission.find(RunKey(client, asked.id))
        if run is None:
            raise ContractError(ErrorCode.NOT_FOUND, f"no request {asked.id} is waiting or running", field="id")
        run.cancel(played=played)
        return
    for run in admission.of_client(client):
        if asked.all or run.admitted.request.session_id == asked.session_id:
            run.cancel(played=played)


def of_conversation(by: RunKey, session_id: str | None, admission: Admission) -> list[Run]:
    """What else of the conversation waits or runs, when its caller asks something new, `by`."""
    return [
        run for run in admission.of_client(by.client) if run.key != by and run.admitted.request.session_id == session_id
    ]


def cancel_of_offline(client: str, admission: Admission) -> int:
    """Stops all requests of a device that is gone; how many there were."""
    runs = admission.of_client(client)
    for run in runs:
        run.cancel("client_offline")
    return len(runs)
