"""Speech that OpenAI's clients want to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastapi import Response
from pydantic import ValidationError

from agent.contract.base64 import encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import HearingOptions, Request
from agent.contract.presence import Info
from agent.contract.reply import Reply, SegmentBody
from agent.contract.terms import Stage
from agent.contract.wire import WireModel, bad_request
from bridge.negotiation import JSON
from bridge.openai.errors import unsupported
from bridge.openai.models import check_speech_model
from bridge.openai.responses import head

TRANSCRIPTIONS_PATH = "/v1/audio/transcriptions"
_GRANULARITIES = "timestamp_granularities[]"


class Transcription(WireModel):
    """What was heard."""

    text: str
    """The words."""


class TranscriptSegment(WireModel):
    """A stretch of what was heard."""

    id: int
    """Counts them from 0."""
    start: float
    """From the start of the clip [s]."""
    end: float
    """From the start of the clip [s]."""
    text: str
    """The words."""


class VerboseTranscription(Transcription):
    """What was heard, and when."""

    task: str = "transcribe"
    """Always that."""
    language: str
    """The language it was heard in."""
    duration: float
    """Length of the clip [s]."""
    segments: tuple[TranscriptSegment, ...] = ()
    """The words with their times, where the engine tells."""


def to_request(parts: Iterable[tuple[str, str | bytes]], info: Info | None) -> tuple[Request, str]:
    """What is asked of the agent, without its id and deadline, and the form of its answer.

    ContractError for what it cannot do. Fields that it has no use for are passed over.
    """
    clip, fields = None, {}
    for name, value in parts:
        if isinstance(value, str):
            fields[name] = value
            _check_granularity(name, value)
        elif name == "file":
            clip = value
    if not clip:
        raise ContractError(ErrorCode.BAD_REQUEST, "file: the clip is missing", field="file")
    form = fields.get("response_format", "json")
    if form not in _FORMS:
        raise unsupported("response_format", f"{', '.join(_FORMS)}, not {form[:40]!r}", value=True)
    if fields.get("stream", "false").lower() not in {"false", "0"}:
        raise unsupported("stream", "a transcript comes whole", value=True)
    check_speech_model(fields.get("model"), Stage.STT, info)
    try:
        hearing = HearingOptions(prompt=fields.get("prompt") or None)
        return Request(audio=encode_base64(clip), language=fields.get("language") or None, stt=hearing), form
    except ValidationError as exc:
        raise bad_request(exc) from exc


def in_form(reply: Reply, form: str) -> Response:
    """What was heard, as `form` writes it."""
    media_type, write = _FORMS[form]
    return Response(write(reply), media_type=media_type, headers=head(reply.id))


def _check_granularity(name: str, value: str) -> None:
    if name == _GRANULARITIES and value != "segment":
        raise unsupported("timestamp_granularities", f"segment, not {value[:40]!r}", value=True)


def _text(reply: Reply) -> str:
    return reply.transcript.text if reply.transcript else ""


def _duration_ms(reply: Reply) -> int:
    """Length of the clip; 0 where the agent does not tell."""
    return (reply.transcript.duration_ms if reply.transcript else None) or 0


def _segments(reply: Reply) -> tuple[SegmentBody, ...]:
    """Those that the engine told of, else all as one."""
    told = reply.transcript.segments if reply.transcript else None
    return told or (SegmentBody(text=_text(reply), start_ms=0, end_ms=_duration_ms(reply)),)


def _verbose(reply: Reply) -> str:
    told = reply.transcript.segments if reply.transcript else None
    segments = tuple(
        TranscriptSegment(id=number, start=each.start_ms / 1_000, end=each.end_ms / 1_000, text=each.text)
        for number, each in enumerate(told or ())
    )
    language = (reply.transcript.language if reply.transcript else None) or ""
    return VerboseTranscription(
        text=_text(reply), language=language, duration=_duration_ms(reply) / 1_000, segments=segments
    ).model_dump_json()


def _cues(reply: Reply, *, point: str) -> list[str]:
    return [
        f"{_clock(each.start_ms, point)} --> {_clock(each.end_ms, point)}\n{each.text.strip()}\n"
        for each in _segments(reply)
    ]


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1_000)
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def _srt(reply: Reply) -> str:
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(_cues(reply, point=","), 1))


def _vtt(reply: Reply) -> str:
    return "\n".join(("WEBVTT\n", *_cues(reply, point=".")))


_FORMS: dict[str, tuple[str, Callable[[Reply], str]]] = {
    "json": (JSON, lambda reply: Transcription(text=_text(reply)).model_dump_json()),
    "text": ("text/plain", lambda reply: f"{_text(reply)}\n"),
    "verbose_json": (JSON, _verbose),
    "srt": ("text/plain", _srt),
    "vtt": ("text/vtt", _vtt),
}
