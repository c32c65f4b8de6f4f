"""A message in, a request out: the forms that the contract allows, on both MQTT versions, become one `Request`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from pydantic import ValidationError

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_CORRELATION_BYTES, Limits
from agent.contract.messages import Request, salvage
from agent.contract.terms import Operation, ReplyMode, is_id
from agent.contract.topics import Address, Topics
from agent.contract.wire import bad_request
from agent.mqtt.message import Message

_PROPERTIES = {
    "ev-id": "id",
    "ev-session": "session_id",
    "ev-reply-mode": "reply_mode",
    "ev-language": "language",
}
"""User property → field, for payloads that are not JSON."""


@dataclass(frozen=True)
class ReturnAddress:
    """Where whatever becomes of a message is to be sent."""

    id: str
    topic: str
    correlation_data: bytes | None


@dataclass(frozen=True)
class Asked:
    """What a message asks, in one form whatever way it came."""

    operation: Operation
    request: Request
    clip: bytes | None
    """A WAV that was the payload itself."""
    deadline_ms: int | None
    """The smaller of the request's own and the message's expiry [ms]."""


class Intake:
    """Reads messages by the contract, for one agent."""

    def __init__(self, topics: Topics, limits: Limits, reply_prefixes: tuple[str, ...]) -> None:
        self._topics = topics
        self._limits = limits
        self._reply_prefixes = reply_prefixes

    def read(self, message: Message, address: Address) -> Asked:
        """The request in `message`. Raises ContractError; sizes are checked before anything is parsed."""
        self._check("the message", len(message.payload), "bytes", self._limits.max_message_bytes)
        request, clip = _decode(message, address)
        turns = "".join(message.content for message in request.messages or ())
        for name, text in (("text", request.text), ("system", request.system), ("messages", turns)):
            self._check(name, len(text or ""), "characters", self._limits.max_text_chars, field=name)
        wanted = request.reply_to or message.response_topic
        if wanted and not self._owns(address.client, wanted):
            mine = self._topics.reply(address.client, "")
            raise ContractError(ErrorCode.FORBIDDEN, f"replies to {address.client} go below {mine}", field="reply_to")
        expiry_ms = None if message.expiry_s is None else message.expiry_s * 1_000
        named = [ms for ms in (request.deadline_ms, expiry_ms) if ms is not None]
        deadline_ms = min(*named, self._limits.max_deadline_ms) if named else None
        return Asked(address.operation, request, clip, deadline_ms)

    def return_address(self, message: Message, client: str, asked: Asked | None) -> ReturnAddress:
        """Where the outcome goes: as wanted where that is allowed, else to the caller's own reply topic.

        `asked` is None where the message could not be read; what looks like its id then serves.
        """
        if asked:
            found = {"id": asked.request.id, "reply_to": asked.request.reply_to}
        else:
            found = {**_properties(message), **_topic_id(message.topic), **salvage(message.payload)}
        request_id = found.get("id")
        if not request_id or not is_id(request_id):
            request_id = uuid.uuid4().hex
        topic = found.get("reply_to") or message.response_topic
        if not topic or not self._owns(client, topic):
            topic = self._topics.reply(client, request_id)
        correlation = message.correlation_data
        if correlation and len(correlation) > MAX_CORRELATION_BYTES:
            correlation = None
        return ReturnAddress(request_id, topic, correlation)

    def _owns(self, client: str, topic: str) -> bool:
        return self._topics.owns_reply(client, topic, self._reply_prefixes)

    @staticmethod
    def _check(what: str, size: int, unit: str, limit: int, *, field: str | None = None) -> None:
        if size > limit:
            message = f"{what} has {size} {unit}; {limit} are the most"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field=field, limit=limit, actual=size)


def _decode(message: Message, address: Address) -> tuple[Request, bytes | None]:
    if address.id:
        return Request(id=address.id, reply_mode=address.reply_mode or ReplyMode.TEXT), message.payload
    media = (message.content_type or "").partition(";")[0].strip().lower()
    if media.startswith("audio/") or (not media and message.payload[:4] == b"RIFF"):
        return _request_of(_properties(message)), message.payload
    if media == "application/json" or (not media and message.payload.lstrip()[:1] == b"{"):
        return Request.decode(message.payload), None
    if media in {"", "text/plain"}:
        return _request_of({**_properties(message), "text": _text_of(message.payload)}), None
    raise ContractError(
        ErrorCode.UNSUPPORTED_MEDIA,
        f"content type {media[:80]!r} is none of application/json, text/plain and audio/*",
        reason="content_type",
    )


def _topic_id(topic: str) -> dict[str, str]:
    match topic.split("/"):
        case [*_, "wav", request_id, _]:
            return {"id": request_id}
    return {}


def _properties(message: Message) -> dict[str, str]:
    return {_PROPERTIES[name]: value for name, value in message.user_properties if name in _PROPERTIES}


def _request_of(fields: dict[str, str]) -> Request:
    try:
        return Request.model_validate(fields, strict=False)
    except ValidationError as exc:
        raise bad_request(exc) from exc


def _text_of(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ContractError(ErrorCode.BAD_REQUEST, f"the text is not UTF-8: {exc.reason}", field="text") from exc
