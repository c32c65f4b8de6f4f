"""What arrives of one run, put in order for who takes it: nothing twice, and no chunk before the one it follows."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque

from agent.client.listeners import AudioChunk
from agent.contract.events import Event, EventType
from agent.contract.reply import Reply

_PATIENCE_S = 0.5
_CROWD = 64


class Arrivals:
    """Events and chunks of one run, until its reply.

    What nobody takes is bounded by the answer: past a crowd of 64, pieces of the answer's text are put together, and
    `seq` has a gap there. Nothing else is left out.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Event | AudioChunk] = deque()
        self._early: dict[int, AudioChunk] = {}
        self._next_chunk = 0
        self._all_chunks: int | None = None
        """How many there are; None before the reply."""
        self._accepted: Event | None = None
        self._last_seq = -1
        self._patience: asyncio.TimerHandle | None = None
        self._woken = asyncio.Event()

    async def next(self) -> Event | AudioChunk | None:
        """What comes next; None once the run was answered and nothing is missing, or no longer waited for."""
        while not self._ready:
            if self._all_chunks is not None and not self._misses_chunks:
                return None
            self._woken.clear()
            await self._woken.wait()
        return self._ready.popleft()

    def hear(self, event: Event) -> None:
        """Takes an event, unless it came before."""
        if event.type is EventType.ACCEPTED and event != self._accepted:
            self._accepted, self._last_seq = event, -1  # an agent that was killed begins the run anew
        if event.seq <= self._last_seq:
            return
        self._last_seq = event.seq
        last = self._ready[-1] if len(self._ready) >= _CROWD else None
        if isinstance(last, Event) and last.type is event.type is EventType.TOKEN:
            self._ready[-1] = event.model_copy(update={"delta": f"{last.delta or ''}{event.delta or ''}"})
        else:
            self._ready.append(event)
        self._woken.set()

    def play(self, chunk: AudioChunk) -> None:
        """Takes a chunk, unless it came before, also from a run that was begun anew."""
        if chunk.chunk >= self._next_chunk:
            self._early.setdefault(chunk.chunk, chunk)
            self._put_in_order()

    def end(self, reply: Reply | None) -> None:
        """The run was answered, or, with None, is not waited for any more."""
        speech = reply.audio if reply and not reply.replayed else None
        self._all_chunks = (speech.chunks if speech else None) or 0
        self._put_in_order()

    def answered(self, replying: Future[Reply]) -> None:
        """The same, told by who waited for the reply."""
        self.end(None if replying.cancelled() or replying.exception() else replying.result())

    @property
    def _misses_chunks(self) -> bool:
        return bool(self._early) or self._next_chunk < (self._all_chunks or 0)

    def _put_in_order(self) -> None:
        while chunk := self._early.pop(self._next_chunk, None):
            self._ready.append(chunk)
            self._next_chunk += 1
            self._stop_waiting()
        if not self._misses_chunks:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self._loop.call_later(_PATIENCE_S, self._pass_over)
        self._woken.set()

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None

    def _pass_over(self) -> None:
        """What is missing does not come any more."""
        self._patience = None
        self._next_chunk = min(self._early, default=self._all_chunks or 0)
        self._put_in_order()
