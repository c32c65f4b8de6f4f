"""An answer as OpenAI's clients read it while it is written: chunks as server-sent events."""

from __future__ import annotations

import time

from fastapi import Response
from pydantic import JsonValue

from agent.client import AudioChunk
from agent.contract.base64 import encode_base64
from agent.contract.events import Event, EventType
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.contract.wire import WireModel
from bridge.answers import piece_lost, speech_not_kept
from bridge.errors import why
from bridge.negotiation import SSE
from bridge.openai.errors import OpenAiError, failed, told
from bridge.openai.responses import Usage, completion_id, expires_at, finish_reason, speech_id

_STILL_HERE = b":\n\n"
_END = b"data: [DONE]\n\n"


class ChunkChoice(WireModel):
    """What is new of the one answer."""

    index: int = 0
    """Always 0."""
    delta: dict[str, JsonValue]
    """`role`, then `content`, or `audio` with `data` and `transcript`, each as far as it is new."""
    logprobs: None = None
    """Always null."""
    finish_reason: str | None = None
    """In the last one: why the answer ended."""


class ChatChunk(WireModel):
    """A piece of an answer."""

    id: str
    """The answer's name, in all of them."""
    object: str = "chat.completion.chunk"
    """Always that."""
    created: int
    """When it began [s since 1970]."""
    model: str
    """Which model answers."""
    choices: tuple[ChunkChoice, ...]
    """One; none in the chunk that tells of the usage."""
    usage: Usage | None = None
    """What was read and written: in a chunk of its own, the last, to who asked for it."""


class ChatStream:
    """One answer, piece by piece; nothing is told before its first word, so that what fails before is an answer."""

    media_type = SSE

    def __init__(self, request_id: str, *, model: str, path: str, spoken: bool, with_usage: bool) -> None:
        """`path` is where it was asked, by which errors name what is at fault."""
        self._id = request_id
        self._model = model
        self._path = path
        self._spoken = spoken
        self._with_usage = with_usage
        self._created = int(time.time())
        self._text = ""
        """What was told of the answer."""
        self._again: str | None = None
        """What an answer that was begun anew has so far."""
        self._begun = False
        self._chunks = 0

    def whole(self, reply: Reply) -> Response | None:
        """What went wrong before there was anything to tell is an answer like any other."""
        if reply.status is not Status.OK:
            return failed(reply, self._path)
        if reply.replayed and reply.audio and reply.audio.data is None:
            return told(ErrorBody.of(speech_not_kept()), self._path, request_id=reply.id)
        return None

    def tell(self, part: Event | AudioChunk | None) -> bytes:
        """What is new. ContractError where a piece was lost."""
        if part is None:
            return _STILL_HERE
        if isinstance(part, AudioChunk):
            return self._hear(part)
        if part.type is EventType.TOKEN:
            return self._write(part.delta or "")
        if part.type is EventType.ACCEPTED and self._begun:
            self._again = ""
        return b""

    def end(self, reply: Reply) -> bytes:
        """What is left, why it ended, and the usage; or the error."""
        if reply.status is not Status.OK:
            return self._fail(why(reply))
        rest = self._rest(reply.text or "")
        if rest is None or (reply.audio and (reply.audio.chunks or 0) != self._chunks and not reply.audio.data):
            return self._fail(ErrorBody.of(piece_lost()))
        last = self._words(rest)
        if reply.audio and reply.audio.data:
            last += self._audio({"data": reply.audio.data})
        if self._spoken:
            last += self._audio({"expires_at": expires_at(self._created)})
        last += self._chunk({}, finish_reason=finish_reason(reply))
        if self._with_usage:
            last += self._told((), usage=Usage.of(reply.usage))
        return last + _END

    def _write(self, delta: str) -> bytes:
        """The next words; of an answer that was begun anew, those that were not told before."""
        if self._again is not None:
            self._again = (self._again + delta).lstrip()
            if not self._again.startswith(self._text):
                return b""
            delta, self._again = self._again[len(self._text) :], None
        return self._words(delta)

    def _rest(self, text: str) -> str | None:
        """What is left to tell of the whole answer, which has no blanks at its ends; None where it is another."""
        if text.startswith(self._text):
            return text[len(self._text) :]
        return "" if self._text.rstrip() == text else None

    def _hear(self, part: AudioChunk) -> bytes:
        if part.chunk != self._chunks:
            raise piece_lost()
        self._chunks += 1
        return self._audio({"data": encode_base64(part.data)})

    def _words(self, delta: str) -> bytes:
        if not (delta := delta if self._text else delta.lstrip()):
            return b""
        self._text += delta
        return self._audio({"transcript": delta}) if self._spoken else self._chunk({"content": delta})

    def _audio(self, delta: dict[str, JsonValue]) -> bytes:
        return self._chunk({"audio": {"id": speech_id(self._id), **delta}})

    def _fail(self, error: ErrorBody) -> bytes:
        return self._lines(OpenAiError.of(error, self._path))

    def _chunk(self, delta: dict[str, JsonValue], *, finish_reason: str | None = None) -> bytes:
        first = b""
        if not self._begun:
            self._begun = True
            first = self._chunk({"role": "assistant", **({} if self._spoken else {"content": ""})})
        return first + self._told((ChunkChoice(delta=delta, finish_reason=finish_reason),))

    def _told(self, choices: tuple[ChunkChoice, ...], *, usage: Usage | None = None) -> bytes:
        name = completion_id(self._id)
        return self._lines(ChatChunk(id=name, created=self._created, model=self._model, choices=choices, usage=usage))

    @staticmethod
    def _lines(data: WireModel) -> bytes:
        return b"data: " + data.model_dump_json().encode() + b"\n\n"
