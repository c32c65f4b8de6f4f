"""A clip that is heard while it arrives, as the worker has it: piece after piece on the engine's one thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from agent.audio import Audio
from agent.engines.base import LiveSpeechToText, Transcript
from agent.engines.calls import Listen

_PIECE_S = 0.2  # others that wait for the thread have their turn after so much sound
_T = TypeVar("_T")


class LiveCall:
    """One such clip, from its beginning to its transcript."""

    def __init__(self, thread: ThreadPoolExecutor, engine: LiveSpeechToText, asked: Listen) -> None:
        self._thread = thread
        self._engine = engine
        self._asked = asked
        self._pieces: deque[Audio] = deque()
        self._whole = False
        self._cancelled = False
        self._wake = asyncio.Event()
        self._work: Future[Any] | None = None

    def feed(self, audio: Audio) -> None:
        """Takes the next piece of the clip; it is heard when the thread comes to it."""
        step = max(1, round(_PIECE_S * audio.sample_rate))
        for start in range(0, len(audio.samples), step):
            self._pieces.append(Audio(audio.samples[start : start + step], audio.sample_rate))
        self._wake.set()

    def finish(self) -> None:
        """There is no more to come."""
        self._whole = True
        self._wake.set()

    def cancel(self) -> None:
        """Nobody wants the transcript: `run` ends once the piece is heard that the thread is in the middle of."""
        self._cancelled = True
        self._wake.set()
        if self._work:
            self._work.cancel()  # one that the thread has not come to is none

    async def run(self) -> Transcript:
        """Hears the clip. CancelledError after `cancel`; whatever the engine raises, as soon as it does."""
        asked = self._asked
        begin = partial(self._engine.listen, language=asked.language, prompt=asked.prompt, cancelled=self._is_cancelled)
        listening = await self._do(begin)
        try:
            while await self._more():
                await self._do(listening.feed, self._pieces.popleft())
            return await self._do(listening.finish)
        finally:
            self._thread.submit(listening.close)  # what comes next for the thread finds it done

    def _is_cancelled(self) -> bool:
        return self._cancelled

    async def _more(self) -> bool:
        """Whether there is another piece, as soon as that is known."""
        while not (self._pieces or self._whole or self._cancelled):
            self._wake.clear()
            await self._wake.wait()
        return bool(self._pieces)

    async def _do(self, work: Callable[..., _T], *args: object) -> _T:
        if self._cancelled:
            raise asyncio.CancelledError
        self._work = doing = self._thread.submit(work, *args)
        try:
            return await asyncio.wrap_future(doing)
        finally:
            self._work = None
