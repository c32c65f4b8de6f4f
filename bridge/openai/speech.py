"""Text that OpenAI's clients want to hear."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import ValidationError

from agent.contract.errors import ErrorCode
from agent.contract.messages import Request, StreamOptions, VoiceOptions
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import AudioFormat, ReplyMode, Stage, Status
from agent.contract.wire import WireModel, bad_request
from bridge.errors import why
from bridge.openai.errors import told, unsupported
from bridge.openai.models import check_speech_model
from bridge.openai.requests import PCM16_HZ, voice_of
from bridge.speech import SpeechStream

SPEECH_PATH = "/v1/audio/speech"
_UNSAYABLE = "unsayable"
_FORMATS = {"wav": AudioFormat.WAV, "pcm": AudioFormat.PCM, "opus": AudioFormat.OPUS}


class SpeechRequest(WireModel):
    """A text that is to be heard. Parameters that are not here are passed over."""

    input: str
    """The text."""
    model: str | None = None
    """The agent's voice engine, which any name of OpenAI's means, too."""
    voice: str | None = None
    """One of the agent's voices; a name of OpenAI's means the first."""
    response_format: str | None = None
    """`wav`, unless it is said; `pcm` (24 kHz) or `opus`."""
    speed: float | None = None
    """Pace, 0.5 to 2."""
    stream_format: str | None = None
    """`audio`."""


class OpenAiSpeech(SpeechStream):
    """A speech that begins with its first sentence, with errors in OpenAI's form."""

    def whole(self, reply: Reply) -> Response:
        """As any speech; a text of which nothing can be said is the caller's fault, for no model wrote it."""
        if reply.status is Status.OK:
            return super().whole(reply)
        error = why(reply)
        if error.reason == _UNSAYABLE:
            error = error.model_copy(update={"code": ErrorCode.BAD_REQUEST, "field": "text"})
        return told(error, SPEECH_PATH, request_id=reply.id)


def to_request(asked: SpeechRequest, info: Info | None) -> Request:
    """What is asked of the agent, without its id and deadline. ContractError for what it cannot do."""
    check_speech_model(asked.model, Stage.TTS, info)
    kind = _FORMATS.get(asked.response_format or "wav")
    if kind is None:
        message = f"{', '.join(_FORMATS)}, not {str(asked.response_format)[:40]!r}"
        raise unsupported("response_format", message, value=True)
    if asked.stream_format not in (None, "audio"):
        raise unsupported("stream_format", f"audio, not {asked.stream_format[:40]!r}", value=True)
    options: dict[str, Any] = {"voice": voice_of(asked.voice, info), "format": kind}
    if asked.speed is not None:
        options["speed"] = asked.speed
    if kind is AudioFormat.PCM:
        options["sample_rate"] = PCM16_HZ
    try:
        return Request(
            text=asked.input,
            reply_mode=ReplyMode.AUDIO,
            tts=VoiceOptions(**options),
            stream=StreamOptions(text=False, audio=True),
        )
    except ValidationError as exc:
        raise bad_request(exc) from exc
