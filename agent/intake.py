"""A message in, a request out: the forms that the contract allows, on both MQTT versions, become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.audio.riff import check_wav
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.contract.messages import Request, UploadStart
from agent.contract.spoken import read_request
from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Address, Topics
from agent.contract.wire import media_type, read_text
from agent.journal.entries import ReplyTo
from agent.mqtt.message import Message
from agent.operations import PLANS
from agent.replies.addressing import address_reply, check_owned, salvage

_PROPERTIES = {
    "ev-id": "id",
    "ev-session": "session_id",
    "ev-reply-mode": "reply_mode",
    "ev-language": "language",
    "ev-model": "model",
}
"""User property → field, for payloads that are not JSON."""

_STREAM = "ev-stream"
"""User property that lists what is wanted while the run goes on: `text`, `audio`, or both."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Asked:
    """What a message asks, in one form whatever way it came."""

    operation: Operation
    request: Request
    """Without its audio, and with the deadline that holds."""
    clip: bytes | None
    """The question, spoken: a WAV file that may be decoded."""
    late: bool = False
    """Its time had passed when it arrived."""


class Intake:
    """Reads messages by the contract, for one agent."""

    def __init__(self, topics: Topics, limits: Limits, reply_prefixes: tuple[str, ...]) -> None:
        self._topics = topics
        self._limits = limits
        self._reply_prefixes = reply_prefixes

    def read(self, message: Message, address: Address) -> Asked:
        """The request in `message`, if it can be done. Raises ContractError; sizes are checked before it is parsed."""
        self._check("the message", len(message.payload), "bytes", self._limits.max_message_bytes)
        request, clip = _decode(message, address)
        asked = self._asked(message, address, Asked(address.operation, request, clip))
        if clip is not None:
            check_wav(clip, max_s=self._limits.max_audio_s)
        return asked

    def read_start(self, message: Message, address: Address) -> tuple[UploadStart, Asked]:
        """The beginning of a clip in pieces, and what will be asked with it, if that can be done. Raises ContractError.

        Sizes are checked before it is parsed.
        """
        self._check("the start", len(message.payload), "bytes", self._limits.max_message_bytes)
        payload = message.payload.removeprefix(_BOM).strip()
        start = UploadStart.decode(payload) if payload else UploadStart.from_strings(_fields(message))
        if start.id not in (None, address.id):
            raise ContractError(ErrorCode.BAD_REQUEST, f"the topic names the clip {address.id}", field="id")
        request = start.request().model_copy(update={"id": address.id})
        asked = self._asked(message, address, Asked(start.operation, request, b""))
        return start, replace(asked, clip=None)

    def address(
        self, message: Message, client: str, request_id: str | None, reply_to: str | None
    ) -> tuple[str, ReplyTo]:
        """The id, made up where there is none, and where the answer goes; ContractError where it may not go there."""
        self._check_owned(client, reply_to or message.response_topic)
        return address_reply(
            self._topics,
            message,
            client,
            {"id": request_id, "reply_to": reply_to},
            prefixes=self._reply_prefixes,
        )

    def reply_to(self, message: Message, client: str, asked: Asked | None) -> tuple[str, ReplyTo]:
        """The id, and where the outcome goes: as wanted where that is allowed, else the caller's own reply topic.

        `asked` is None where the message could not be read; what looks like its id then serves.
        """
        if asked:
            found = {"id": asked.request.id, "reply_to": asked.request.reply_to}
        else:
            found = {**_properties(message), **salvage(message.payload), **_topic_id(message.topic)}
        return address_reply(self._topics, message, client, found, prefixes=self._reply_prefixes)

    def _asked(self, message: Message, address: Address, asked: Asked) -> Asked:
        """What is asked, as it is taken on: it can be done, is no larger than allowed, and has its deadline."""
        request = asked.request
        turns = "".join(turn.content for turn in request.messages or ())
        for name, text in (("text", request.text), ("system", request.system), ("messages", turns)):
            self._check(name, len(text or ""), "characters", self._limits.max_text_chars, field=name)
        self._check_owned(address.client, request.reply_to or message.response_topic)
        request = request.model_copy(update={"deadline_ms": self._deadline_ms(request, message)})
        PLANS[asked.operation](request, asked.clip)
        return replace(asked, request=request, late=message.expiry_s == 0)

    def _deadline_ms(self, request: Request, message: Message) -> int:
        named = [request.deadline_ms, None if message.expiry_s is None else message.expiry_s * 1_000]
        wanted = min((ms for ms in named if ms is not None), default=self._limits.default_deadline_ms)
        return max(1, min(wanted, self._limits.max_deadline_ms))

    def _check_owned(self, client: str, topic: str | None) -> None:
        check_owned(self._topics, client, topic, prefixes=self._reply_prefixes)

    @staticmethod
    def _check(what: str, size: int, unit: str, limit: int, *, field: str | None = None) -> None:
        if size > limit:
            message = f"{what} has {size} {unit}; {limit} are the most"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field=field, limit=limit, actual=size)


def _decode(message: Message, address: Address) -> tuple[Request, bytes | None]:
    if address.id:
        return Request(id=address.id, reply_mode=address.reply_mode or ReplyMode.TEXT), message.payload
    media = media_type(message.content_type)
    if media.startswith("audio/") or (not media and message.payload[:4] == b"RIFF"):
        return Request.from_strings(_fields(message)), message.payload
    if media == "application/json" or (not media and message.payload.removeprefix(_BOM).lstrip()[:1] == b"{"):
        return read_request(message.payload.removeprefix(_BOM))
    if media in {"", "text/plain"}:
        return Request.from_strings({**_fields(message), "text": read_text(message.payload)}), None
    raise ContractError(
        ErrorCode.UNSUPPORTED_MEDIA,
        f"content type {media[:80]!r} is none of application/json, text/plain and audio/*",
        reason="content_type",
    )


def _topic_id(topic: str) -> dict[str, str]:
    match topic.split("/"):
        case [*_, "wav" | "stream", request_id, _]:
            return {"id": request_id}
    return {}


def _properties(message: Message) -> dict[str, str]:
    return {_PROPERTIES[name]: value for name, value in message.user_properties if name in _PROPERTIES}


def _fields(message: Message) -> dict[str, str | Mapping[str, str]]:
    """The fields that user properties stand for."""
    wanted = [value for name, value in message.user_properties if name == _STREAM]
    if not wanted:
        return {**_properties(message)}
    parts = {part.strip(): "true" for value in wanted for part in value.split(",")}
    return {**_properties(message), "stream": {"text": "false", **parts}}
