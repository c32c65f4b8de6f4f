"""The parameters of a chat that OpenAI's clients send."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue

from agent.contract.limits import MAX_MESSAGES
from agent.contract.terms import Overflow
from agent.contract.wire import WireModel
from bridge.openai.messages import ChatMessage


def _all_of(stop: Any) -> Any:
    if isinstance(stop, str):
        return (stop,)
    return tuple(stop) if isinstance(stop, list) else stop


Stop = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(_all_of, json_schema_input_type=str | tuple[str, ...] | None),
]


class AudioOut(WireModel):
    """How an answer is to sound."""

    voice: str | None = None
    """One of the agent's voices; a name of OpenAI's means the first."""
    format: str = "wav"
    """`wav`, `pcm16` (24 kHz), `opus`, `mp3` (24 kHz) or `flac`."""


class StreamOut(WireModel):
    """How an answer is to be streamed."""

    include_usage: bool | None = None
    """Whether the last chunk tells how many tokens were read and written."""


class ResponseFormat(WireModel):
    """The form of an answer."""

    type: str
    """`text`."""


class ChatRequest(WireModel):
    """A conversation that wants an answer. Parameters that are not here are passed over."""

    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=MAX_MESSAGES)
    """What was said so far."""
    model: str | None = None
    """One of `/v1/models`; the agent's own when left out or empty."""
    stream: bool | None = None
    """Whether the answer is told while it is written."""
    stream_options: StreamOut | None = None
    """How."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always takes the likeliest word; higher is more varied."""
    top_p: float | None = Field(default=None, ge=0, le=1)
    """Only the likeliest words that add up to this probability are considered."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest answer [tokens]."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """The same; the one that counts where both are given."""
    stop: Stop = None
    """The answer ends before this text, or any of these."""
    seed: int | None = None
    """Makes a varied answer repeatable."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: the more often a word was said, the less likely it is."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: a word that was said is less likely."""
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=2)
    """Above 1: repetition is less likely. Not OpenAI's, but of servers like it."""
    on_overflow: Overflow | None = None
    """What becomes of a conversation that does not fit into the model's window. Not OpenAI's, but the agent's own."""
    modalities: tuple[str, ...] | None = None
    """`text`; with `audio` the answer is spoken."""
    audio: AudioOut | None = None
    """How, then."""
    n: int | None = None
    """1."""
    response_format: ResponseFormat | None = None
    """Of type `text`."""
    tools: tuple[JsonValue, ...] | None = None
    """None."""
    functions: tuple[JsonValue, ...] | None = None
    """None."""
    tool_choice: JsonValue = None
    """`none` or `auto`."""
    logprobs: bool | None = None
    """False."""
    top_logprobs: int | None = None
    """0."""
    logit_bias: dict[str, JsonValue] | None = None
    """None."""
    web_search_options: dict[str, JsonValue] | None = None
    """None."""

    @property
    def spoken(self) -> bool:
        """Whether the answer is to be heard."""
        return "audio" in (self.modalities or ())

    @property
    def with_usage(self) -> bool:
        """Whether a streamed answer ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)
