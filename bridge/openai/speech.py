"""Text that OpenAI's clients want to hear."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from agent.client import AudioChunk
from agent.contract.errors import ErrorCode
from agent.contract.events import Event
from agent.contract.messages import Request, StreamOptions, VoiceOptions
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import ReplyMode, Stage, Status
from agent.contract.wire import WireModel, bad_request
from bridge.answers import piece_lost
from bridge.errors import why
from bridge.openai.errors import told, unsupported
from bridge.openai.formats import SPEECH_FORMATS, FileKind, SpeechFormat, write_file
from bridge.openai.models import check_speech_model
from bridge.openai.requests import voice_of
from bridge.openai.responses import head
from bridge.speech import SpeechStream

SPEECH_PATH = "/v1/audio/speech"
_UNSAYABLE = "unsayable"


class SpeechRequest(WireModel):
    """A text that is to be heard. Parameters that are not here are passed over."""

    input: str
    """The text."""
    model: str | None = None
    """The agent's voice engine, which any name of OpenAI's means, too."""
    voice: str | None = None
    """One of the agent's voices; a name of OpenAI's means the first."""
    response_format: str | None = None
    """`wav`, unless it is said; `pcm` (24 kHz) or `opus`; `mp3` (24 kHz) or `flac`, which come whole."""
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


class SpeechFile(OpenAiSpeech):
    """A speech that is told when it is whole, as a file of a kind whose beginning says how it ends."""

    def __init__(self, request: Request, info: Info | None, kind: FileKind) -> None:
        """`request` is one for samples alone."""
        super().__init__(request, info)
        self._kind = kind
        self._samples = bytearray()

    def tell(self, part: Event | AudioChunk | None) -> bytes:
        """Nothing yet."""
        self._samples += super().tell(part)
        return b""

    def whole(self, reply: Reply) -> Response:
        """The file, or what went wrong. ContractError where some of it was lost."""
        if reply.status is not Status.OK or reply.audio is None:
            return super().whole(reply)
        if not self._samples:  # a stored answer
            self._samples += super().whole(reply).body
        elif self.end(reply) is None:
            raise piece_lost()
        return _WrittenSpeech(self._kind, bytes(self._samples), reply.audio.sample_rate, request_id=reply.id)


class _WrittenSpeech(Response):
    """A file that is written when it is sent."""

    def __init__(self, kind: FileKind, samples: bytes, sample_rate: int, *, request_id: str) -> None:
        super().__init__()
        self._kind = kind
        self._samples = samples
        self._sample_rate = sample_rate
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes it, in a thread, and sends it."""
        file = await write_file(self._kind, self._samples, self._sample_rate)
        await Response(file, media_type=self._kind.media_type, headers=head(self._request_id))(scope, receive, send)


def to_request(asked: SpeechRequest, info: Info | None) -> tuple[Request, SpeechFormat]:
    """What is asked of the agent, without its id and deadline, and how its speech is to be written down.

    ContractError for what it cannot do.
    """
    check_speech_model(asked.model, Stage.TTS, info)
    form = SPEECH_FORMATS.get(asked.response_format or "wav")
    if form is None:
        message = f"{', '.join(SPEECH_FORMATS)}, not {str(asked.response_format)[:40]!r}"
        raise unsupported("response_format", message, value=True)
    if asked.stream_format not in (None, "audio"):
        raise unsupported("stream_format", f"audio, not {asked.stream_format[:40]!r}", value=True)
    options: dict[str, Any] = {"voice": voice_of(asked.voice, info)}
    if asked.speed is not None:
        options["speed"] = asked.speed
    try:
        request = Request(
            text=asked.input,
            reply_mode=ReplyMode.AUDIO,
            tts=VoiceOptions(**options, format=form.written, sample_rate=form.sample_rate),
            stream=StreamOptions(text=False, audio=True),
        )
    except ValidationError as exc:
        raise bad_request(exc) from exc
    return request, form
