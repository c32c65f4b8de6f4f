"""Requests for the tests of the journal."""

from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.journal.entries import Admitted, ReplyTo, RunKey


def admitted(request_id="r1", client="demo", text="Hi", clip=None, arrived_at=1.0):
    request = Request(id=request_id, text=text, metadata={"nested": [1, {"deep": None}]})
    to = ReplyTo(f"reply/{client}/{request_id}", b"\x00")
    return Admitted(RunKey(client, request_id), Operation.CHAT, request, clip, to, arrived_at)


def left(journal):
    """What of a journal has no outcome yet."""
    return [entry.admitted for entry in journal.unanswered()]
