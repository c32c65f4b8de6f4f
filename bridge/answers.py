"""Whole answers: a reply as JSON, or nothing but its speech."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from agent.contract.base64 import decode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import Reply
from agent.contract.terms import AudioFormat
from bridge.negotiation import JSON

_MAX_HEADER_CHARS = 4_096


def in_json(reply: Reply) -> Response:
    """All of a reply."""
    return Response(reply.encode(), media_type=JSON, headers=_headers(reply))


def in_speech(reply: Reply) -> Response:
    """The speech of a reply, with its words in headers. ContractError where it has none."""
    audio = reply.audio
    if audio is None:
        raise ContractError(ErrorCode.INTERNAL, "the agent answered without speech; ask with Accept: application/json")
    if audio.data is None:
        raise speech_not_kept()
    headers = _headers(reply)
    words = {"EdgeVoice-Text": reply.text, "EdgeVoice-Transcript": reply.transcript and reply.transcript.text}
    for name, text in words.items():
        encoded = quote(text or "", safe=" ")
        if 0 < len(encoded) <= _MAX_HEADER_CHARS:  # longer ones break clients; the JSON answer has them
            headers[name] = encoded
    media_type = speech_type(audio.format, audio.sample_rate)
    return Response(decode_base64(audio.data), media_type=media_type, headers=headers)


def speech_not_kept() -> ContractError:
    """What is said to who asks again for speech that went out in chunks."""
    message = "this id was answered before, and its speech, which went out in chunks, is not kept; ask with another"
    return ContractError(ErrorCode.CONFLICT, message, field="id", reason="speech_not_kept")


def piece_lost() -> ContractError:
    """What is said where not all that the agent told has come through."""
    return ContractError(ErrorCode.INTERNAL, "a piece of the answer was lost on its way; ask again", retriable=True)


def speech_type(kind: AudioFormat, sample_rate: int | None) -> str:
    """The content type of speech; bare samples say nothing of themselves."""
    if kind is AudioFormat.PCM and sample_rate:
        return f"{kind.media_type};rate={sample_rate};channels=1"
    return kind.media_type


def _headers(reply: Reply) -> dict[str, str]:
    timings = reply.timings_ms.model_dump(exclude_none=True) if reply.timings_ms else {}
    return {
        "EdgeVoice-Id": reply.id,
        "Server-Timing": ", ".join(f"{name};dur={milliseconds}" for name, milliseconds in timings.items()),
    }
