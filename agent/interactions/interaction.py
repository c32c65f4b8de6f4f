"""One line of the log: who asked what, and what came of it."""

from __future__ import annotations

from datetime import datetime, timezone

from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from agent.contract.errors import ErrorCode
from agent.contract.messages import Request
from agent.contract.reply import EngineNames, Reply, Timings, Usage
from agent.contract.terms import FinishReason, Operation, Status
from agent.journal.entries import Admitted


class Interaction(BaseModel):
    """A request that has its outcome. What does not apply is left out."""

    model_config = ConfigDict(frozen=True)

    time: datetime
    """When it ended, in UTC."""
    agent: str
    """The agent's name."""
    client: str
    """Who asked: the broker's user; over HTTP the one of the key, `http-` and its name, or `bridge` without keys."""
    session_id: str | None = None
    """The conversation, where the request named one."""
    id: str
    """The request's id."""
    operation: Operation
    """What was asked for."""
    model: str | None = None
    """The language model, where the request named one."""
    question: str | None = None
    """What was asked in writing; of a whole conversation, its last message."""
    question_chars: int | None = None
    """Its length [characters]."""
    transcript: str | None = None
    """What was heard, where it was asked in speech."""
    transcript_chars: int | None = None
    """Its length [characters]."""
    answer: str | None = None
    """What was answered."""
    answer_chars: int | None = None
    """Its length [characters]."""
    status: Status
    """How it ended."""
    finish_reason: FinishReason | None = None
    """Why the answer ended."""
    error: ErrorCode | None = None
    """Why it was not answered as asked."""
    timings_ms: Timings | None = None
    """Where the time went, as in the reply [ms]."""
    usage: Usage | None = None
    """Tokens read and written."""
    engines: EngineNames | None = None
    """Which engine and model did each stage."""

    @classmethod
    def of(cls, admitted: Admitted, reply: Reply) -> Self:
        """What is kept of a request and its terminal reply; its sound is not."""
        question = _question(admitted.request)
        transcript = reply.transcript.text if reply.transcript else None
        return cls(
            time=datetime.now(timezone.utc),
            agent=reply.agent,
            client=admitted.key.client,
            session_id=admitted.request.session_id,
            id=admitted.key.id,
            operation=admitted.operation,
            model=admitted.request.model,
            question=question,
            question_chars=_length(question),
            transcript=transcript,
            transcript_chars=_length(transcript),
            answer=reply.text,
            answer_chars=_length(reply.text),
            status=reply.status,
            finish_reason=reply.finish_reason,
            error=reply.error.code if reply.error else None,
            timings_ms=reply.timings_ms,
            usage=reply.usage,
            engines=reply.engines,
        )

    def encode(self) -> bytes:
        """A line of JSON in UTF-8."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


def _question(request: Request) -> str | None:
    return request.messages[-1].content if request.messages else request.text


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)
