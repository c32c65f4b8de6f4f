"""The child side: one engine in a process of its own, serving calls over the socket it was started with.

Started by agent.engines.host as `python -m agent.engines.worker STAGE SOCKET`; everything else, the engine's options
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
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.contract.messages import Sampling
from agent.contract.terms import Stage
from agent.engines.frames import DELTA, MESSAGES, TRANSCRIPT, Frame, Kind, audio_frame, audio_of, read_frame
from agent.engines.registry import choose, leaf
from agent.errors import AgentError, EngineError

_PR_SET_PDEATHSIG = 1
_CLOSE_S = 1.0


@dataclass
class _Call:
    """One call in progress."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None


class Worker:
    """Loads the engine it is told to, then answers until the host is gone."""

    def __init__(self, stage: Stage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stage = stage
        self._reader = reader
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, f"{stage.value}-engine")
        self._calls: dict[int, _Call] = {}
        self._engine: Any = None  # one of the three ports: its stage's answerer below knows which
        self._answer: Callable[[Frame, _Call], Awaitable[Frame]] = {
            Stage.STT: self._transcribe,
            Stage.LLM: self._chat,
            Stage.TTS: self._synthesize,
        }[stage]

    async def serve(self) -> None:
        """Load, answer, close."""
        load = await read_frame(self._reader)
        if load is None or not await self._load(load):
            return
        while frame := await read_frame(self._reader):
            self._take(frame)
        for call in self._calls.values():
            self._cancel(call)
        with suppress(asyncio.TimeoutError):  # an engine that hangs ends with the process
            await asyncio.wait_for(self._in_thread(self._engine.close), _CLOSE_S)

    async def _load(self, load: Frame) -> bool:
        try:
            self._engine = await self._in_thread(_build, self._stage, **load.fields)
        except Exception as exc:  # noqa: BLE001 - the boundary
            await self._send(_failure(Kind.FAILED, 0, self._stage, exc))
            return False
        slots = self._engine.slots if self._stage is Stage.LLM else 1
        info = self._engine.info.model_dump(mode="json")
        await self._send(Frame(Kind.READY, fields={"info": info, "slots": slots, "memory_bytes": _memory_bytes()}))
        return True

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.CALL:
            call = self._calls[frame.call] = _Call()
            call.task = asyncio.create_task(self._run(frame, call), name=f"call[{frame.call}]")
        elif frame.kind is Kind.CANCEL and frame.call in self._calls:
            self._cancel(self._calls[frame.call])
        elif frame.kind is Kind.PING:
            self._writer.write(Frame(Kind.PONG, fields={"memory_bytes": _memory_bytes()}).encode())

    def _cancel(self, call: _Call) -> None:
        call.cancelled.set()
        # Cancelling a task that waits for the engine's thread would end the call before its work has ended.
        if self._stage is Stage.LLM and call.task:
            call.task.cancel()

    async def _run(self, frame: Frame, call: _Call) -> None:
        """The boundary: whatever becomes of a call, its last frame tells the host."""
        try:
            last = await self._answer(frame, call)
        except asyncio.CancelledError:  # by `_cancel`, which is all that cancels a call
            last = Frame(Kind.DONE, frame.call)
        except Exception as exc:  # noqa: BLE001 - the boundary
            last = _failure(Kind.ERROR, frame.call, self._stage, exc)
        del self._calls[frame.call]
        await self._send(last)

    async def _transcribe(self, frame: Frame, call: _Call) -> Frame:
        transcript = await self._in_thread(
            self._engine.transcribe,
            audio_of(frame),
            language=frame.fields["language"],
            cancelled=call.cancelled.is_set,
        )
        return Frame(Kind.DONE, frame.call, TRANSCRIPT.dump_python(transcript, mode="json"))

    async def _chat(self, frame: Frame, call: _Call) -> Frame:
        messages = MESSAGES.validate_python(frame.fields["messages"], strict=False)
        sampling = Sampling.model_validate(frame.fields["sampling"], strict=False)
        async with aclosing(self._engine.chat(messages, sampling)) as answer:
            async for delta in answer:
                fields = DELTA.dump_python(delta, mode="json", exclude_defaults=True)
                await self._send(Frame(Kind.PIECE, frame.call, fields))
        return Frame(Kind.DONE, frame.call)

    async def _synthesize(self, frame: Frame, call: _Call) -> Frame:
        audio = await self._in_thread(
            self._engine.synthesize,
            frame.fields["text"],
            voice=frame.fields["voice"],
            speed=frame.fields["speed"],
            cancelled=call.cancelled.is_set,
        )
        return audio_frame(Kind.DONE, frame.call, audio)

    async def _in_thread(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def _send(self, frame: Frame) -> None:
        with suppress(ConnectionError):  # the host is gone, as reading tells in a moment
            self._writer.write(frame.encode())
            await self._writer.drain()


def _build(stage: Stage, *, name: str, options: dict[str, Any], models_dir: str) -> Any:
    chosen, checked = choose(stage, name, options, Path(models_dir))
    return leaf(stage, chosen)(checked, Path(models_dir))


def _failure(kind: Kind, call: int, stage: Stage, exc: Exception) -> Frame:
    """What went wrong, for the host; a bug's traceback goes to stderr."""
    if not isinstance(exc, AgentError):
        traceback.print_exception(exc)
        summary = " ".join(f"{type(exc).__name__}: {exc}".split())
        exc = EngineError(stage, f"the {stage.value} engine failed unexpectedly: {summary}")
    return Frame(kind, call, {"code": exc.code.value, "message": exc.message, "reason": exc.reason})


def _memory_bytes() -> int | None:
    """Resident memory of this process, where the system tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGESIZE")


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
    asyncio.new_event_loop().run_until_complete(_serve(stage, socket.socket(fileno=handle)))
    sys.stderr.flush()
    os._exit(0)  # a native library's own shutdown may hang for ever


if __name__ == "__main__":
    main()
