"""A request on its way: its name, the message that carries it, and how long its reply is worth waiting for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from typing_extensions import Self

from agent.client.exchange import Key
from agent.client.publications import check_size, marked
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import DEFAULT_DEADLINE_MS, Limits
from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.message import Publication

_SILENCE_AFTER_DEADLINE_S = 1.0


@dataclass(frozen=True)
class Question:
    """One request as it is sent."""

    key: Key
    publication: Publication
    wait_s: float
    """How long its reply is waited for [s]."""

    @classmethod
    def of(
        cls, request: Request, operation: Operation, client: str, *, topics: Topics, limits: Limits | None = None
    ) -> Self:
        """`request`, with an id and a deadline where it has none; ContractError where the agent would not take it.

        `limits`: the agent's, where they are known.
        """
        check_reply_to(request)
        request_id = request.id or uuid.uuid4().hex
        deadline_ms = request.deadline_ms or DEFAULT_DEADLINE_MS
        request = request.model_copy(update={"id": request_id, "deadline_ms": deadline_ms})
        publication = marked(topics.request(client, operation), request)
        if limits:
            check_size(request, publication, limits.max_message_bytes)
        return cls((client, request_id), publication, wait_s(deadline_ms))


def check_reply_to(request: Request) -> None:
    """ContractError where `request` says where its reply goes: there nobody would hear it."""
    if request.reply_to:
        raise ContractError(ErrorCode.BAD_REQUEST, "reply_to is the client's to choose", field="reply_to")


def wait_s(deadline_ms: int) -> float:
    """How long a reply to what has such a deadline is waited for [s]."""
    return deadline_ms / 1_000 + _SILENCE_AFTER_DEADLINE_S
