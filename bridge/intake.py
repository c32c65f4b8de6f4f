"""How a request in JSON is taken in, but for the one of `/v1/ask`, which has more forms."""

from __future__ import annotations

import uuid

from fastapi import Request as HttpRequest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.contract.wire import media_type
from bridge.access.access import caller_of
from bridge.forms import read_key
from bridge.negotiation import JSON
from bridge.state import State
from bridge.workers.roll import Key


def key_of(http: HttpRequest) -> Key:
    """Whose request it is, and its id: its `Idempotency-Key`, or one that is made up."""
    key = Key(caller_of(http).client, read_key(http) or uuid.uuid4().hex)
    http.state.request_id = key.id
    return key


def deadline_of(bridge: State, asked_ms: int | None = None) -> int:
    """How long the agent has for a request that asks for `asked_ms`, or does not say [ms]."""
    info = bridge["agent"].info
    limits = info.limits if info else Limits()
    return min(asked_ms or bridge["settings"].deadline_ms, limits.max_deadline_ms)


async def read_json(http: HttpRequest) -> bytes:
    """Its body, which says that it is JSON. ContractError where it does not."""
    check_media_type(http, JSON)
    return await http.body()


def check_media_type(http: HttpRequest, wanted: str) -> None:
    """ContractError(unsupported_media) where the body is something else."""
    media = media_type(http.headers.get("Content-Type"))
    if media != wanted:
        message = f"send {wanted}, and say so in Content-Type, not {media[:80]!r}"
        raise ContractError(ErrorCode.UNSUPPORTED_MEDIA, message, field="Content-Type", reason="content_type")
