"""One clip on its way: its pieces in order, word of what is missing, and its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import EventType
from agent.contract.limits import MAX_CHUNK_BYTES
from agent.contract.messages import Request, UploadEnd, UploadStart
from agent.contract.topics import UploadPart
from agent.intake import Asked
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.mqtt.message import Message
from agent.pipeline.hearing import Hearing, Live
from agent.pipeline.telling import Teller
from agent.uploads.pieces import Pieces
from agent.uploads.recording import Recording, beside

_NACK_AFTER_S = 0.25
_NACK_INTERVAL_S = 1.0
_MOST_NACKED = 64
_MOST_NAMED = 10
_MAX_END_BYTES = 1_024


Listen = Callable[[Request], Awaitable[Hearing | None]]
"""Has the clip of a request heard while it arrives, where an engine can."""


class Upload:
    """A clip that has begun. It ends by its last piece, by the end of its speech, or because nothing comes any more."""

    def __init__(
        self,
        key: RunKey,
        start: UploadStart,
        asked: Asked,
        to: ReplyTo,
        *,
        recording: Recording,
        teller: Teller,
        longest_s: float,
        idle_ms: int,
        grow: Callable[[int], None],
        listen: Listen,
    ) -> None:
        """`asked`: what is to become of it; `grow` is asked for room.

        It may take `longest_s` [s] to arrive, with pauses between two pieces of at most `idle_ms`.
        """
        self.key = key
        self.start = start
        self._asked = asked
        self.to = to
        self.last: Message | None = None
        """The message that made it whole, until it is acknowledged."""
        self._recording = recording
        self._teller = teller
        self._idle_ms = idle_ms
        self._latest = asyncio.get_running_loop().time() + longest_s
        self._grow = grow
        self._listen = listen
        self._pieces = Pieces()
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue()
        """What is to be taken in, in order; None where nothing more will be."""
        self._chunks: int | None = None
        self._over = False
        self._failure: ContractError | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._nacking: asyncio.TimerHandle | None = None
        self._wait_on()

    def hear(self, part: UploadPart, payload: bytes) -> bool:
        """A message of it, which may have come before; True where it is whole with that. What is wrong with it ends it.

        After the end, nothing matters any more.
        """
        if self._over:
            return False
        try:
            if part.number is None:
                return self._end(payload)
            return self._add(part.number, payload)
        except ContractError as exc:
            self.fail(exc)
            return False

    @property
    def failed(self) -> bool:
        """Whether it is not to be had."""
        return self._failure is not None

    def fail(self, error: ContractError) -> None:
        """It is not to be had; the first reason counts."""
        self._failure = self._failure or error
        self._finish()

    async def admitted(self) -> Admitted:
        """The request that it is, once it has ended. Raises ContractError where it cannot be had."""
        self._recording.heard_by(await self._listen(self._asked.request))
        ended = False
        while not ended and (piece := await self._ready.get()) is not None:
            self._check()
            ended = await self._recording.take(piece)
            await asyncio.sleep(0)  # there may be many more
        self._finish()
        self._check()
        clip, asked = await self._recording.wav(), self._asked
        admitted = Admitted(self.key, asked.operation, asked.request, clip, self.to, arrived_at=time.time())
        await beside(len(clip), lambda: admitted.digest)  # it is kept, and soon wanted
        self._check()
        return admitted

    def live(self) -> Live:
        """What there is of its run; to be closed by who asked."""
        self._teller.arrived()
        return Live(self._teller, self._recording.give_hearing())

    def close(self) -> None:
        """Whatever became of it."""
        self._finish()
        self._recording.close()

    def _check(self) -> None:
        if self._failure:
            raise self._failure

    def _add(self, number: int, data: bytes) -> bool:
        if len(data) > MAX_CHUNK_BYTES:
            message = f"chunk {number} has {len(data)} bytes; {MAX_CHUNK_BYTES} are the most"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, limit=MAX_CHUNK_BYTES, actual=len(data))
        if self._pieces.is_wanted(number):
            self._grow(len(data))
            self._wait_on()
        for piece in self._pieces.add(number, data):
            self._ready.put_nowait(piece)
        return self._is_whole(at_once=False)

    def _end(self, payload: bytes) -> bool:
        if self._chunks is None:
            chunks = _read_end(payload).chunks
            self._chunks = self._pieces.known if chunks is None else chunks
            self._pieces.expect(self._chunks)
            self._wait_on()
        return self._is_whole(at_once=True)

    def _is_whole(self, *, at_once: bool) -> bool:
        """Whether all is there; else its sender is told what is not, `at_once` or after a moment."""
        if self._chunks is not None and self._pieces.next >= self._chunks:
            self._finish()
            return True
        if self._pieces.next >= self._pieces.known or at_once:
            self._stop_nacking()
        if self._pieces.next < self._pieces.known and self._nacking is None:
            self._nack_in(0.0 if at_once else _NACK_AFTER_S)
        return False

    def _nack_in(self, seconds: float) -> None:
        self._nacking = asyncio.get_running_loop().call_later(seconds, self._nack)

    def _nack(self) -> None:
        self._nack_in(_NACK_INTERVAL_S)
        self._teller.tell(EventType.NACK, missing=self._pieces.missing(_MOST_NACKED))

    def _stop_nacking(self) -> None:
        if self._nacking:
            self._nacking.cancel()
            self._nacking = None

    def _wait_on(self) -> None:
        """Something new has come: the next may take as long as any, but all of it not for ever."""
        if self._idle:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_at(min(loop.time() + self._idle_ms / 1_000, self._latest), self._is_idle)

    def _is_idle(self) -> None:
        if missing := self._pieces.missing(_MOST_NAMED + 1):
            self.fail(_chunks_missing(missing, self._idle_ms))
        else:
            self._finish()

    def _finish(self) -> None:
        """Nothing is waited for any more."""
        if self._over:
            return
        self._over = True
        self._ready.put_nowait(None)
        self._stop_nacking()
        if self._idle:
            self._idle.cancel()


def _read_end(payload: bytes) -> UploadEnd:
    """What the last message says, which may say nothing. Raises ContractError."""
    if len(payload) > _MAX_END_BYTES:
        message = f"the end has {len(payload)} bytes; {_MAX_END_BYTES} are the most"
        raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, limit=_MAX_END_BYTES, actual=len(payload))
    return UploadEnd.decode(payload) if payload.strip() else UploadEnd()


def _chunks_missing(missing: tuple[int, ...], idle_ms: int) -> ContractError:
    named = ", ".join(map(str, missing[:_MOST_NAMED])) + (", …" if len(missing) > _MOST_NAMED else "")
    message = f"chunks of the clip did not come in time: {named}"
    return ContractError(ErrorCode.EXPIRED, message, reason="chunks_missing", limit=idle_ms)
