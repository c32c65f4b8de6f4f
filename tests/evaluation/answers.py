"""Answers as an agent gives them."""

from agent.contract.reply import AudioBody, ErrorBody, Reply, TranscriptBody
from agent.contract.terms import FinishReason, Status
from agent.evaluation.answer import Answer


def reply(text=None, *, finish_reason=FinishReason.STOP, error=None, heard=None, speech=None, **fields):
    """A terminal reply; `error` is the code of one that failed, `speech` its audio as base64."""
    return Reply(
        id="1",
        agent="orin",
        status=Status.ERROR if error else Status.OK,
        text=text,
        finish_reason=None if error else finish_reason,
        error=ErrorBody(code=error, message="no") if error else None,
        transcript=TranscriptBody(text=heard) if heard else None,
        audio=AudioBody(data=speech, sample_rate=16_000, duration_ms=1) if speech else None,
        **fields,
    )


def answer(text=None, *, elapsed_ms=100.0, heard_back=None, **fields):
    """An answer with that reply."""
    return Answer(reply(text, **fields), elapsed_ms, heard_back)
