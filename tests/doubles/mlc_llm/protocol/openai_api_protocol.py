"""Requests and answers, in the words of OpenAI."""

import time
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from mlc_llm.protocol.error_protocol import BadRequestError


class CompletionUsage(BaseModel):
    """What an answer took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    extra: dict[str, Any] | None = None


class StreamOptions(BaseModel):
    """How a stream ends."""

    include_usage: bool | None


class _Request(BaseModel):
    model: str | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    n: int = 1
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None

    @field_validator("frequency_penalty", "presence_penalty")
    @classmethod
    def _in_range(cls, penalty):
        if penalty and not -2 <= penalty <= 2:
            raise ValueError("Penalty value should be in range [-2, 2].")
        return penalty


class CompletionRequest(_Request):
    """A prompt to go on with."""

    prompt: str | list[int]


class CompletionResponseChoice(BaseModel):
    """A piece of how it goes on."""

    finish_reason: Literal["stop", "length", "preempt"] | None = None
    index: int = 0
    logprobs: None = None
    text: str


class CompletionResponse(BaseModel):
    """One item of a stream."""

    id: str
    choices: list[CompletionResponseChoice]
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str | None = None
    object: str = "text_completion"
    usage: CompletionUsage | None = None


class ChatCompletionMessage(BaseModel):
    """A turn, or a piece of one."""

    content: str | list[dict[str, Any]] | None = None
    role: Literal["system", "user", "assistant", "tool"]
    name: str | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None


class ChatCompletionRequest(_Request):
    """A conversation to go on with."""

    messages: list[ChatCompletionMessage]

    @model_validator(mode="after")
    def _options_need_a_stream(self):
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream must be set to True when stream_options is present")
        return self

    def check_message_validity(self):
        """BadRequestError where roles come in an order that no template knows."""
        for position, message in enumerate(self.messages):
            if message.role == "system" and position:
                raise BadRequestError(f"System prompt at position {position} in the message list is invalid.")
            if message.tool_calls is not None:
                raise BadRequestError("Assistant message having `tool_calls` is not supported yet.")


class ChatCompletionStreamResponseChoice(BaseModel):
    """A piece of an answer."""

    finish_reason: Literal["stop", "length", "tool_calls", "error"] | None = None
    index: int = 0
    delta: ChatCompletionMessage
    logprobs: None = None


class ChatCompletionStreamResponse(BaseModel):
    """One item of a stream."""

    id: str
    choices: list[ChatCompletionStreamResponseChoice]
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str | None = None
    system_fingerprint: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: CompletionUsage | None = None
