"""The calls that a worker is in the middle of: each holds a slot until the worker is done with it, or gone."""

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
    """A call that holds a slot; it ends when the worker says so, which may be after its caller has left."""

    frames: asyncio.Queue[Frame | EngineError] = field(default_factory=asyncio.Queue)
    last_resort: asyncio.TimerHandle | None = None


class CallsInFlight:
    """Takes as many calls at once as there are slots; the others wait, in the order they came."""

    def __init__(self, stage: Stage, cancel_grace_s: float) -> None:
        self._stage = stage
        self._cancel_grace_s = cancel_grace_s
        self._slots = asyncio.Semaphore(1)
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._callers = 0

    @property
    def busy(self) -> int:
        """How many there are, those that nobody waits for any more among them."""
        return len(self._calls)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for an answer, or for the turn to ask."""
        return bool(self._callers or self._calls)

    def open(self, slots: int) -> None:
        """Sets how many there may be at once; to be called before the first."""
        self._slots = asyncio.Semaphore(slots)

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

    async def _make(self, asked: Frame, ready: Callable[[], Awaitable[WorkerProcess]]) -> AsyncGenerator[Frame, None]:
        await ready()
        await self._slots.acquire()
        try:
            worker = await ready()
        except BaseException:
            self._slots.release()
            raise
        number = next(self._numbers)
        call = self._calls[number] = _Call()
        worker.send(Frame(asked.kind, number, asked.fields, asked.body))
        try:
            while True:
                frame = await call.frames.get()
                if isinstance(frame, EngineError):
                    raise frame
                yield frame
                if frame.kind is Kind.DONE:
                    return
        finally:
            if number in self._calls:
                self._abandon(worker, number)

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

    def _abandon(self, worker: WorkerProcess, number: int) -> None:
        """Nobody waits for this call any more; its slot stays taken until the worker is done with it."""
        worker.send(Frame(Kind.CANCEL, number))
        why = f"did not end a cancelled call within {self._cancel_grace_s:g} s"
        self._calls[number].last_resort = asyncio.get_running_loop().call_later(self._cancel_grace_s, worker.kill, why)

    def _end(self, number: int, last: Frame | EngineError) -> None:
        call = self._calls.pop(number)
        if call.last_resort:
            call.last_resort.cancel()
        call.frames.put_nowait(last)
        self._slots.release()
