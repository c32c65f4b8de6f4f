"""A conversation as OpenAI's clients write it: roles, and contents that are text or a list of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, ValidationError

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message
from agent.contract.terms import Role
from agent.contract.wire import WireModel, first_fault
from bridge.openai.errors import unsupported

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}


class InputAudio(WireModel):
    """Speech."""

    data: str = Field(min_length=1)
    """Base64 of a file."""
    format: str = "wav"
    """How it is written down."""


class Part(WireModel):
    """A part of a message."""

    type: str
    """`text` or `input_audio`."""
    text: str | None = None
    """With `text`: what is said."""
    input_audio: InputAudio | None = None
    """With `input_audio`: the same, spoken."""


def _in_parts(content: Any) -> Any:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return tuple(content) if isinstance(content, list) else content


Content = Annotated[
    tuple[Part, ...] | None,
    BeforeValidator(_in_parts, json_schema_input_type=str | tuple[Part, ...] | None),
]


class ChatMessage(WireModel):
    """One turn of a conversation."""

    role: str
    """`system`, `developer`, `user` or `assistant`."""
    content: Content = None
    """What is said: text, or parts of it; in the last message a clip, too."""
    audio: JsonValue = None
    """None: what was said in speech is read as text."""
    tool_calls: JsonValue = None
    """None."""


@dataclass(frozen=True)
class Conversation:
    """What was said so far."""

    turns: tuple[Message, ...]
    """Typed."""
    clip: str | None = None
    """Base64 of what was said last, where it was spoken."""
    beside_clip: str = ""
    """What was typed beside it."""

    @property
    def instruction(self) -> str | None:
        """All that the system said, where nobody else has said anything yet; None where somebody has."""
        if self.beside_clip or any(turn.role is not Role.SYSTEM for turn in self.turns):
            return None
        return "\n\n".join(turn.content for turn in self.turns)

    def heard(self, words: str) -> tuple[Message, ...]:
        """All turns, the clip as the words that it is."""
        said = "\n\n".join(text for text in (self.beside_clip, words) if text)
        return (*self.turns, Message(role=Role.USER, content=said))


def read_conversation(messages: Sequence[ChatMessage]) -> Conversation:
    """What `messages` say. ContractError that names the one at fault."""
    turns: list[Message] = []
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        role = _role(message, where)
        _check_lost(message, where)
        text, clip = _content(message.content or (), where)
        if clip:
            if role is not Role.USER or number + 1 < len(messages):
                raise unsupported(f"{where}.content", "only the last message may be spoken, and only by the user")
            return Conversation(tuple(turns), clip, text)
        if text.strip() or role is Role.USER:  # a system prompt left empty
            turns.append(_turn(role, text, where))
    if not turns:
        raise ContractError(ErrorCode.BAD_REQUEST, "messages: nothing is asked in them", field="messages")
    return Conversation(tuple(turns))


def _role(message: ChatMessage, where: str) -> Role:
    if message.role in {"tool", "function"}:
        raise unsupported(f"{where}.role", "this agent calls no tools", value=True)
    role = _ROLES.get(message.role)
    if role is None:
        error = f"{where}.role: one of {', '.join(_ROLES)} is needed, not {message.role[:40]!r}"
        raise ContractError(ErrorCode.BAD_REQUEST, error, field=f"{where}.role")
    return role


def _check_lost(message: ChatMessage, where: str) -> None:
    """ContractError for what a message says in a way that would be passed over."""
    if message.tool_calls:
        raise unsupported(f"{where}.tool_calls", "this agent calls no tools")
    if message.audio and not message.content:
        raise unsupported(f"{where}.audio", "speech is not looked up by its id; give its transcript as content")


def _content(parts: Sequence[Part], where: str) -> tuple[str, str | None]:
    """The text of a message, and its clip."""
    texts, clips = [], []
    for number, part in enumerate(parts):
        here = f"{where}.content.{number}"
        if part.type == "text" and part.text is not None:
            texts.append(part.text)
        elif part.type == "input_audio" and part.input_audio is not None:
            clips.append(part.input_audio.data)
        elif part.type in {"text", "input_audio"}:
            raise ContractError(ErrorCode.BAD_REQUEST, f"{part.type} is missing", field=f"{here}.{part.type}")
        else:
            raise unsupported(f"{here}.type", f"text and input_audio are read, not {part.type[:40]!r}", value=True)
    if len(clips) > 1:
        raise unsupported(f"{where}.content", "one clip a message")
    return "\n".join(texts), clips[0] if clips else None


def _turn(role: Role, text: str, where: str) -> Message:
    try:
        return Message(role=role, content=text)
    except ValidationError as exc:
        _, why = first_fault(exc)
        raise ContractError(ErrorCode.BAD_REQUEST, f"the message {why}", field=f"{where}.content") from exc
