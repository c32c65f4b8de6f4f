"""The child side: one engine in a process of its own, serving calls over the socket it was started with.

Started by agent.engines.process as `python -m agent.engines.worker STAGE SOCKET`; everything else, the engine's options
among it, comes over the socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agent.contract.terms import Stage
from agent.engines.base import Delta, LanguageModel
from agent.engines.calls import (
    Chat,
    Count,
    Counted,
    Failure,
    Feed,
    Listen,
    Load,
    Piece,
    Pong,
    Ready,
    Synthesize,
    Synthesized,
    Transcribe,
    Transcribed,
)
from agent.engines.frames import Frame, Kind, read_frame
from agent.engines.live_call import LiveCall
from agent.engines.prompt import PromptTemplate
from agent.engines.registry import choose, leaf
from agent.errors import AgentError, EngineError
from agent.memory import resident_bytes
from agent.title import entitle

_PR_SET_PDEATHSIG = 1
_CLOSE_S = 1.0


@dataclass
class _Call:
    """One call in progress."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None
    begun: bool = False
    live: LiveCall | None = None
    """Its clip, where that is still arriving."""


class Worker:
    """Loads the engine it is told to, then answers until the host is gone."""

    def __init__(self, stage: Stage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stage = stage
        self._reader = reader
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, f"{stage.value}-engine")
        self._calls: dict[int, _Call] = {}
        self._template: PromptTemplate | None = None
        self._engine: Any = None  # one of the three ports: its stage's answerer below knows which
        self._answer: Callable[[Frame, _Call], Awaitable[Frame]] = {
            Stage.STT: self._transcribe,
            Stage.LLM: self._chat,
            Stage.TTS: self._synthesize,
        }[stage]

    async def serve(self) -> None:
        """Load, answer, close."""
        load = await read_frame(self._reader)
        if load is None or not await self._load(Load.of(load)):
            return
        while frame := await read_frame(self._reader):
            self._take(frame)
        for call in self._calls.values():
            self._cancel(call)
        with suppress(asyncio.TimeoutError):  # an engine that hangs ends with the process
            await asyncio.wait_for(self._in_thread(self._engine.close), _CLOSE_S)

    async def _load(self, load: Load) -> bool:
        try:
            self._template = PromptTemplate.of(load.template) if load.template else None
            self._engine = await self._in_thread(_build, self._stage, load)
        except Exception as exc:  # noqa: BLE001 - the boundary
            await self._send(_failure(self._stage, exc).frame())
            return False
        entitle("engine", self._stage.value, self._engine.info.name)
        ready = Ready(
            info=self._engine.info,
            slots=self._engine.slots if self._stage is Stage.LLM else 1,
            sessions=getattr(self._engine, "sessions", 0),
            memory_bytes=resident_bytes(),
        )
        await self._send(ready.frame())
        return True

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.PING:
            self._writer.write(Pong(memory_bytes=resident_bytes()).frame().encode())
        elif frame.kind is Kind.CALL:
            asked_once = _Call()
            self._start(frame.call, asked_once, partial(self._answer, frame, asked_once))
        elif frame.kind is Kind.COUNT:
            self._start(frame.call, _Call(), partial(self._count, frame))
        elif frame.kind is Kind.LISTEN:
            live = LiveCall(self._thread, self._engine, Listen.of(frame))
            self._start(frame.call, _Call(live=live), partial(_hear, frame.call, live))
        elif call := self._calls.get(frame.call):  # or it has ended meanwhile
            self._tell(call, frame)

    def _start(self, number: int, call: _Call, answer: Callable[[], Awaitable[Frame]]) -> None:
        self._calls[number] = call
        call.task = asyncio.create_task(self._run(number, call, answer), name=f"call[{number}]")

    def _tell(self, call: _Call, frame: Frame) -> None:
        """What is said to a call in progress."""
        if frame.kind is Kind.CANCEL:
            self._cancel(call)
        elif call.live and frame.kind is Kind.FEED:
            call.live.feed(Feed.of(frame).audio)
        elif call.live and frame.kind is Kind.FINISH:
            call.live.finish()

    def _cancel(self, call: _Call) -> None:
        call.cancelled.set()
        if call.live:
            call.live.cancel()
        # Cancelling a task that waits for the engine's thread would end the call before its work has ended.
        if self._stage is Stage.LLM and call.task and call.begun:
            call.task.cancel()

    async def _run(self, number: int, call: _Call, answer: Callable[[], Awaitable[Frame]]) -> None:
        """The boundary: whatever becomes of a call, its last frame tells the host."""
        call.begun = True
        try:
            # Where call and cancel come together, the cancel is seen before the call has begun.
            last = Frame(Kind.DONE, number) if call.cancelled.is_set() else await answer()
        except asyncio.CancelledError:  # by `_cancel`, which is all that cancels a call
            last = Frame(Kind.DONE, number)
        except Exception as exc:  # noqa: BLE001 - the boundary
            last = _failure(self._stage, exc).frame(number)
        del self._calls[number]
        await self._send(last)

    async def _transcribe(self, frame: Frame, call: _Call) -> Frame:
        asked = Transcribe.of(frame)
        transcript = await self._in_thread(
            self._engine.transcribe,
            asked.audio,
            language=asked.language,
            prompt=asked.prompt,
            cancelled=call.cancelled.is_set,
        )
        return Transcribed(transcript=transcript).frame(frame.call)

    async def _chat(self, frame: Frame, call: _Call) -> Frame:
        asked = Chat.of(frame)
        async with aclosing(self._answer_to(asked)) as answer:
            async for delta in answer:
                await self._send(Piece(delta=delta).frame(frame.call))
        return Frame(Kind.DONE, frame.call)

    async def _count(self, frame: Frame) -> Frame:
        asked = Count.of(frame).asked
        llm: LanguageModel = self._engine
        return Counted(tokens=await llm.count(self._template.render(asked) if self._template else asked)).frame(
            frame.call
        )

    def _answer_to(self, asked: Chat) -> AsyncGenerator[Delta, None]:
        llm: LanguageModel = self._engine
        if isinstance(asked.asked, str):
            return llm.complete(asked.asked, asked.sampling)
        if self._template:
            prompt = self._template.render(asked.asked)
            return llm.complete(prompt, self._template.stopping(asked.sampling))
        return llm.chat(asked.asked, asked.sampling)

    async def _synthesize(self, frame: Frame, call: _Call) -> Frame:
        asked = Synthesize.of(frame)
        audio = await self._in_thread(
            self._engine.synthesize,
            asked.text,
            voice=asked.voice,
            speed=asked.speed,
            cancelled=call.cancelled.is_set,
        )
        return Synthesized(audio=audio).frame(frame.call)

    async def _in_thread(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def _send(self, frame: Frame) -> None:
        with suppress(ConnectionError):  # the host is gone, as reading tells in a moment
            self._writer.write(frame.encode())
            await self._writer.drain()


def _build(stage: Stage, load: Load) -> Any:
    name, options = choose(stage, load.name, load.options, load.models_dir)
    return leaf(stage, name)(options, load.models_dir)


async def _hear(number: int, live: LiveCall) -> Frame:
    return Transcribed(transcript=await live.run()).frame(number)


def _failure(stage: Stage, exc: Exception) -> Failure:
    """What went wrong, for the host; a bug's traceback goes to stderr."""
    if not isinstance(exc, AgentError):
        traceback.print_exception(exc)
        summary = " ".join(f"{type(exc).__name__}: {exc}".split())
        exc = EngineError(stage, f"the {stage.value} engine failed unexpectedly: {summary}")
    return Failure.told(exc)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _serve(stage: Stage, host: socket.socket) -> None:
    await Worker(stage, *await asyncio.open_unix_connection(sock=host)).serve()


def main() -> None:
    """Serves the host behind the inherited socket until it is gone, then ends at once."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the agent, which closes its engines in order
    stage, handle = Stage(sys.argv[1]), int(sys.argv[2])
    entitle("engine", stage.value)
    asyncio.new_event_loop().run_until_complete(_serve(stage, socket.socket(fileno=handle)))
    sys.stderr.flush()
    os._exit(0)  # a native library's own shutdown may hang for ever


if __name__ == "__main__":
    main()
