"""Where an outcome goes, by what a message says and by what its sender may choose; also where little of it is right."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_CORRELATION_BYTES
from agent.contract.terms import is_id
from agent.contract.topics import Topics
from agent.journal.entries import ReplyTo
from agent.mqtt.message import Message

_ENDS_BYTES = 4_096
_SALVAGE = re.compile(rb'"(id|reply_to)"\s*:\s*"([^"\\]{1,512})"')


def check_owned(topics: Topics, client: str, topic: str | None, *, prefixes: tuple[str, ...] = ()) -> None:
    """ContractError(forbidden) where `client` may not have its reply on `topic`; None is its own reply topic."""
    if topic and not topics.owns_reply(client, topic, prefixes):
        mine = topics.reply(client, "")
        raise ContractError(ErrorCode.FORBIDDEN, f"replies to {client} go below {mine}", field="reply_to")


def address_reply(
    topics: Topics, message: Message, client: str, found: Mapping[str, str | None], *, prefixes: tuple[str, ...] = ()
) -> tuple[str, ReplyTo]:
    """The id and the way back, by the `id` and `reply_to` that were `found`; what is wrong with them is left out."""
    request_id = found.get("id")
    if not request_id or not is_id(request_id):
        request_id = uuid.uuid4().hex
    topic = found.get("reply_to") or message.response_topic
    if not topic or not topics.owns_reply(client, topic, prefixes):
        topic = topics.reply(client, request_id)
    correlation_data = message.correlation_data
    if correlation_data and len(correlation_data) > MAX_CORRELATION_BYTES:
        correlation_data = None
    return request_id, ReplyTo(topic, correlation_data)


def salvage(payload: bytes) -> dict[str, str]:
    """The `id` and `reply_to` that a request most likely has, read from the ends of one that cannot be decoded.

    Only for addressing the error; both are checked like any other.
    """
    ends = payload if len(payload) <= 2 * _ENDS_BYTES else payload[:_ENDS_BYTES] + b"\n" + payload[-_ENDS_BYTES:]
    return {name.decode(): value.decode("utf-8", "replace") for name, value in reversed(_SALVAGE.findall(ends))}
