"""An answer as nothing but its speech, while it is being spoken."""

from __future__ import annotations

from fastapi import Response

from agent.client import AudioChunk
from agent.client.joining import joined
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event
from agent.contract.messages import Request
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import Stage, Status
from bridge.answers import in_speech, piece_lost, speech_type
from bridge.errors import failed


class SpeechStream:
    """The chunks of a speech, joined to one file that plays while it is still arriving."""

    def __init__(self, request: Request, info: Info | None) -> None:
        """`info`: what the agent says of itself, among it at which rate its voice speaks."""
        self._joined = joined(request.tts.format)
        self._chunks = 0
        voice = info.engines.get(Stage.TTS) if info else None
        rate = request.tts.sample_rate or (voice.sample_rate if voice else None)
        self.media_type = speech_type(request.tts.format, rate)

    def whole(self, reply: Reply) -> Response:
        """A stored answer comes in one piece; so does what went wrong before the first sound."""
        return in_speech(reply) if reply.status is Status.OK else failed(reply)

    def tell(self, part: Event | AudioChunk | None) -> bytes:
        """What the file goes on with. ContractError where it cannot."""
        if not isinstance(part, AudioChunk):
            return b""
        self.media_type = part.content_type or self.media_type
        if part.chunk != self._chunks:
            raise piece_lost()
        self._chunks += 1
        try:
            return self._joined.add(part.data)
        except ValueError as exc:
            raise ContractError(ErrorCode.INTERNAL, f"chunk {part.chunk} of the speech: {exc}") from exc

    def end(self, reply: Reply) -> bytes | None:
        """How the file ends; None where it must break off, for nothing in it could say that more was to come."""
        is_whole = reply.status is Status.OK and reply.audio is not None and reply.audio.chunks == self._chunks
        return self._joined.end() if is_whole else None
