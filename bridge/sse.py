"""A run as server-sent events: `event` is the type, `id` the number, `data` the contract's JSON; the reply is last."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Response

from agent.client import AudioChunk
from agent.contract.base64 import encode_base64
from agent.contract.events import Event, EventType
from agent.contract.messages import Request
from agent.contract.reply import Reply
from agent.contract.terms import Status
from agent.contract.wire import WireModel
from bridge.errors import failed
from bridge.negotiation import SSE

_STILL_HERE = b":\n\n"
"""A comment, which readers skip and which keeps proxies from closing what is silent."""


class SpeechEvent(WireModel):
    """The event `audio` together with the chunk of speech that it tells of."""

    type: EventType = EventType.AUDIO
    """What happened."""
    id: str
    """The request's id."""
    seq: int | None = None
    """As in the event; left out where events were not asked for."""
    t_ms: float | None = None
    """As in the event."""
    chunk: int
    """Counts the chunks from 0."""
    bytes: int
    """Size of the chunk [bytes]."""
    text: str | None = None
    """As in the event."""
    data: str
    """Base64 of the chunk."""


class EventStream:
    """The events of one run; a chunk of its speech and the event that tells of it come as one."""

    media_type = SSE

    def __init__(self, request: Request) -> None:
        self._id = str(request.id)
        self._told = bool(request.stream and request.stream.text)
        self._chunk: AudioChunk | None = None
        """Waits for its event, which comes right after it, if at all."""
        self._events: dict[int, Event] = {}
        """Those that came before their chunk."""

    def whole(self, reply: Reply) -> Response | None:
        """What went wrong before there was anything to tell is an answer like any other."""
        return None if reply.status is Status.OK else failed(reply)

    def tell(self, part: Event | AudioChunk | None) -> bytes:
        """The lines of `part`."""
        return b"".join(self._lines(part))

    def end(self, reply: Reply) -> bytes:
        """The reply, also where it is a failure."""
        return b"".join((*self._left(), _lines("reply", None, reply)))

    def _lines(self, part: Event | AudioChunk | None) -> Iterator[bytes]:
        if isinstance(part, AudioChunk):
            yield from self._left()
            event = self._events.pop(part.chunk, None)
            if self._told and event is None:
                self._chunk = part
            else:
                yield self._speech(part, event)
        elif part is None:
            yield from (list(self._left()) or [_STILL_HERE])
        elif part.type is EventType.AUDIO and part.chunk is not None:
            if self._chunk and self._chunk.chunk == part.chunk:
                chunk, self._chunk = self._chunk, None
                yield self._speech(chunk, part)
            else:
                self._events[part.chunk] = part
        else:
            yield _lines(part.type.value, part.seq, part)

    def _left(self) -> Iterator[bytes]:
        """The chunk whose event was left out."""
        if self._chunk:
            chunk, self._chunk = self._chunk, None
            yield self._speech(chunk, None)

    def _speech(self, chunk: AudioChunk, event: Event | None) -> bytes:
        told = SpeechEvent(id=self._id, chunk=chunk.chunk, bytes=len(chunk.data), data=encode_base64(chunk.data))
        if event:
            told = told.model_copy(update=event.model_dump(include={"seq", "t_ms", "text"}))
        return _lines(EventType.AUDIO.value, told.seq, told)


def _lines(name: str, number: int | None, data: WireModel) -> bytes:
    numbered = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{numbered}data: ".encode() + data.encode() + b"\n\n"  # JSON of ours has no line breaks
