"""An answer as OpenAI's clients read it, whole."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import Field

from agent.contract.reply import Reply
from agent.contract.reply import Usage as TokensUsed
from agent.contract.terms import FinishReason, Role
from agent.contract.wire import WireModel
from bridge.negotiation import JSON
from bridge.openai.errors import REQUEST_ID

_KEPT_S = 3_600
"""How long the agent remembers an answer."""


def _is_none(value: Any) -> bool:
    return value is None


class Speech(WireModel):
    """An answer, spoken."""

    id: str
    """Its name."""
    data: str
    """Base64 of it."""
    transcript: str
    """The answer."""
    expires_at: int
    """When the agent forgets it [s since 1970]."""


class ChatAnswer(WireModel):
    """What was answered."""

    role: str = "assistant"
    """Always that."""
    content: str | None
    """The answer; null where it is spoken, for then `audio` has it."""
    refusal: None = None
    """Always null."""
    audio: Speech | None = Field(default=None, exclude_if=_is_none)
    """The answer, spoken."""


class Choice(WireModel):
    """The one answer."""

    index: int = 0
    """Always 0."""
    message: ChatAnswer
    """What was answered."""
    logprobs: None = None
    """Always null."""
    finish_reason: str
    """`stop`, or `length` where it was cut off."""


class Usage(WireModel):
    """What was read and written."""

    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""
    total_tokens: int
    """Both together."""

    @classmethod
    def of(cls, used: TokensUsed | None) -> Usage | None:
        """As OpenAI counts it; None where the engine does not tell."""
        if used is None:
            return None
        read, written = used.prompt_tokens, used.completion_tokens
        return cls(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


class ChatCompletion(WireModel):
    """An answer."""

    id: str
    """Its name: `chatcmpl-` and the request's id."""
    object: str = "chat.completion"
    """Always that."""
    created: int
    """When [s since 1970]."""
    model: str
    """Which model answered."""
    choices: tuple[Choice, ...]
    """One."""
    usage: Usage | None = Field(default=None, exclude_if=_is_none)
    """What was read and written."""


def completion_id(request_id: str) -> str:
    """What an answer is called."""
    return f"chatcmpl-{request_id}"


def speech_id(request_id: str) -> str:
    """What an answer that is spoken is called."""
    return f"audio_{request_id}"


def finish_reason(reply: Reply) -> str:
    """Why an answer ended."""
    return "stop" if reply.finish_reason in {FinishReason.STOP, None} else "length"


def expires_at(now: float) -> int:
    """When an answer of `now` is forgotten [s since 1970]."""
    return int(now) + _KEPT_S


def in_openai(reply: Reply, model: str, *, heard: str | None = None) -> Response:
    """A reply as a chat completion; `heard` is its speech in base64, as its caller wants it."""
    now = time.time()
    speech = None
    if heard:
        speech = Speech(id=speech_id(reply.id), data=heard, transcript=reply.text or "", expires_at=expires_at(now))
    told = ChatCompletion(
        id=completion_id(reply.id),
        created=int(now),
        model=model,
        choices=(
            Choice(
                message=ChatAnswer(content=None if speech else reply.text or "", audio=speech),
                finish_reason=finish_reason(reply),
            ),
        ),
        usage=Usage.of(reply.usage),
    )
    return Response(told.model_dump_json(), media_type=JSON, headers=head(reply.id))


def in_messages(reply: Reply) -> Response:
    """A reply as an array of one message, with its `role` and `content` alone."""
    told = [{"role": Role.ASSISTANT.value, "content": reply.text or ""}]
    return JSONResponse(told, headers=head(reply.id))


def head(request_id: str) -> dict[str, str]:
    """The headers that name the request, ours and the one that the clients read."""
    return {"EdgeVoice-Id": request_id, REQUEST_ID: request_id}
