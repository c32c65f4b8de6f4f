"""A request as the message that carries it: its mark, and its size in the caller's own measure."""

from __future__ import annotations

import hashlib

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import HOW_IT_IS_ASKED, Request
from agent.contract.wire import WireModel
from agent.mqtt.message import Publication

_MARK_BYTES = 16


def in_json(topic: str, message: WireModel, *, mark: bytes | None = None) -> Publication:
    """`message` on its way to `topic`; `mark` comes back with the reply, on MQTT 5."""
    return Publication(topic, message.encode(), content_type="application/json", correlation_data=mark)


def marked(topic: str, request: Request) -> Publication:
    """A request with a mark of what it asks: its replies bear it, and those to another one of the same id do not."""
    mark = hashlib.blake2b(topic.encode(), digest_size=_MARK_BYTES)
    mark.update(request.encode(without=HOW_IT_IS_ASKED | {"audio"}))
    mark.update((request.audio or "").encode())
    return in_json(topic, request, mark=mark.digest())


def check_size(request: Request, publication: Publication, limit: int) -> None:
    """ContractError(payload_too_large) where the agent, which takes `limit` bytes, would say the same."""
    size = len(publication.payload)
    if size <= limit:
        return
    field, what = None, "request"
    if request.audio:
        rest = size - len(request.audio)
        field, what, size, limit = "audio", "clip", len(request.audio) * 3 // 4, (limit - rest) * 3 // 4
    message = f"the {what} has {size} bytes; {limit} are the most in one message"
    raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field=field, limit=limit, actual=size)
