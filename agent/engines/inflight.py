"""The calls that a worker is in the middle of: each holds its place until the worker is done with it, or gone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from agent.contract.terms import Stage
from agent.engines.calls import Failure
from agent.engines.frames import Frame, Kind
from agent.engines.process import WorkerProcess
from agent.errors import EngineDied, EngineError


@dataclass(eq=False)
class _Call:
    """A call in progress; it ends when the worker says so, which may be after its caller has left."""

    leave: Callable[[], None]
    """Frees its place."""
    frames: asyncio.Queue[Frame | EngineError] = field(default_factory=asyncio.Queue)
    last_resort: asyncio.TimerHandle | None = None


class CallsInFlight:
    """Takes as many calls at once as there are slots; the others wait, in the order they came.

    Beside them it takes sessions: calls that hear a clip while it arrives, hold no slot and never wait for a place.
    """

    def __init__(self, stage: Stage, cancel_grace_s: float) -> None:
        self._stage = stage
        self._cancel_grace_s = cancel_grace_s
        self._slots = asyncio.Semaphore(1)
        self._sessions_left = 0
        self._sessions = 0
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._callers = 0

    @property
    def busy(self) -> int:
        """How many there are: sessions, and calls that nobody waits for any more, among them."""
        return len(self._calls)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for an answer, or for the turn to ask."""
        return bool(self._callers or self._calls)

    @property
    def load(self) -> tuple[int, int]:
        """How many calls are in progress or wait for a slot, and how many sessions there are."""
        left_behind = sum(call.last_resort is not None for call in self._calls.values())
        return self._callers + left_behind, self._sessions

    def open(self, slots: int, sessions: int) -> None:
        """Sets how many calls and sessions there may be at once; to be called before the first."""
        self._slots = asyncio.Semaphore(slots)
        self._sessions_left = sessions

    async def make(self, asked: Frame, ready: Callable[[], Awaitable[WorkerProcess]]) -> AsyncGenerator[Frame, None]:
        """The frames that answer a call, the last of them DONE, after those who asked before; or its EngineError.

        `ready` gives the worker to put it to, as soon as there is one.
        """
        self._callers += 1
        try:
            async with aclosing(self._make(asked, ready)) as answer:
                async for frame in answer:
                    yield frame
        finally:
            self._callers -= 1

    async def ask_aside(self, asked: Frame, worker: WorkerProcess) -> Frame:
        """The one frame that answers a call which takes no slot; or its EngineError."""
        number, call = self._begin(asked, worker, lambda: None)
        session = Session(self, worker, number, call.frames)
        try:
            return await session.answer()
        finally:
            session.close()

    def listen(self, asked: Frame, worker: WorkerProcess) -> Session | None:
        """Begins a session with `worker`; None where there are as many as there may be."""
        if not self._sessions_left:
            return None
        self._sessions_left -= 1
        self._sessions += 1
        number, call = self._begin(asked, worker, self._end_session)
        return Session(self, worker, number, call.frames)

    async def _make(self, asked: Frame, ready: Callable[[], Awaitable[WorkerProcess]]) -> AsyncGenerator[Frame, None]:
        await ready()
        await self._slots.acquire()
        try:
            worker = await ready()
        except BaseException:
            self._slots.release()
            raise
        number, call = self._begin(asked, worker, self._slots.release)
        try:
            while True:
                frame = await call.frames.get()
                if isinstance(frame, EngineError):
                    raise frame
                yield frame
                if frame.kind is Kind.DONE:
                    return
        finally:
            self.abandon(worker, number)

    def take(self, frame: Frame) -> None:
        """Hands a worker's frame to its call, and ends the call where it is the last."""
        call = self._calls.get(frame.call)
        if call is None:
            return
        if frame.kind is Kind.PIECE:
            call.frames.put_nowait(frame)
            return
        self._end(frame.call, Failure.of(frame).error(self._stage) if frame.kind is Kind.ERROR else frame)

    def lose(self, how: str) -> None:
        """Ends all: the worker `how`, and with it what it was in the middle of."""
        for number in list(self._calls):
            self._end(number, EngineDied(self._stage, f"the {self._stage.value} engine {how}"))

    def has(self, number: int) -> bool:
        """Whether the worker is still in the middle of this call."""
        return number in self._calls

    def abandon(self, worker: WorkerProcess, number: int) -> None:
        """Nobody waits for this call any more; its place stays taken until the worker is done with it."""
        call = self._calls.get(number)
        if call is None or call.last_resort:
            return
        worker.send(Frame(Kind.CANCEL, number))
        why = f"did not end a cancelled call within {self._cancel_grace_s:g} s"
        call.last_resort = asyncio.get_running_loop().call_later(self._cancel_grace_s, worker.kill, why)

    def _begin(self, asked: Frame, worker: WorkerProcess, leave: Callable[[], None]) -> tuple[int, _Call]:
        number = next(self._numbers)
        call = self._calls[number] = _Call(leave)
        worker.send(Frame(asked.kind, number, asked.fields, asked.body))
        return number, call

    def _end(self, number: int, last: Frame | EngineError) -> None:
        call = self._calls.pop(number)
        if call.last_resort:
            call.last_resort.cancel()
        call.frames.put_nowait(last)
        call.leave()

    def _end_session(self) -> None:
        self._sessions -= 1
        self._sessions_left += 1


class Session:
    """A call that more is said to after it has begun."""

    def __init__(
        self, calls: CallsInFlight, worker: WorkerProcess, number: int, frames: asyncio.Queue[Frame | EngineError]
    ) -> None:
        self._calls = calls
        self._worker = worker
        self._number = number
        self._frames = frames

    def say(self, frame: Frame) -> None:
        """Sends `frame` to the worker; drops it where the call has ended."""
        if self._calls.has(self._number):
            self._worker.send(Frame(frame.kind, self._number, frame.fields, frame.body))

    async def answer(self) -> Frame:
        """The worker's last word on the call; EngineError where that is one."""
        last = await self._frames.get()
        if isinstance(last, EngineError):
            raise last
        return last

    def close(self) -> None:
        """Ends the call where it has not ended."""
        self._calls.abandon(self._worker, self._number)
