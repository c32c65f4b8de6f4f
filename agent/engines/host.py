"""The agent's side of an engine: starts its worker, watches it, starts it anew, and puts the pipeline's calls to it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from typing_extensions import Unpack

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo, EngineState
from agent.contract.terms import Stage
from agent.engines.base import Delta, Transcript
from agent.engines.frames import DELTA, MESSAGES, TRANSCRIPT, Frame, Kind, audio_frame, audio_of
from agent.engines.process import WorkerProcess
from agent.errors import EngineDied, EngineError

logger = logging.getLogger(__name__)

_PING_S = 2.0
_RETRY_MIN_S = 0.1
_RETRY_MAX_S = 10.0


@dataclass(eq=False)
class _Call:
    """A call that holds a slot; it ends when the worker says so, which may be after its caller has left."""

    frames: asyncio.Queue[Frame | EngineError] = field(default_factory=asyncio.Queue)
    last_resort: asyncio.TimerHandle | None = None


class EngineHost:
    """One engine in a process of its own. A call made while the process is being started again waits for it."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        options: dict[str, Any],
        *,
        models_dir: Path,
        load_timeout_s: float,
        hang_timeout_s: float,
        cancel_grace_s: float,
        environment: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._name = name
        self._options = options
        self._models_dir = models_dir
        self._load_timeout_s = load_timeout_s
        self._hang_timeout_s = hang_timeout_s
        self._cancel_grace_s = cancel_grace_s
        self._environment = environment
        self._on_change = on_change
        self._worker: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._closed = False
        self._info: EngineInfo | None = None
        self._slots = asyncio.Semaphore(1)
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._silent_s = 0.0
        self._restarts = 0
        self._memory_bytes: int | None = None

    async def start(self) -> None:
        """Loads the engine; EngineError, with the worker's last words, where that fails."""
        worker, ready = await self._load()
        self._slots = asyncio.Semaphore(ready.fields["slots"])
        self._welcome(worker, ready)
        self._keeper = asyncio.create_task(self._keep(worker), name=f"engine[{self._stage.value}]")

    async def close(self) -> None:
        """Ends the worker; calls in progress fail, and so do later ones."""
        self._closed = True
        self._ready.set()
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._worker:
            await self._worker.close(self._cancel_grace_s)
        self._lose("was closed")

    @property
    def info(self) -> EngineInfo:
        """What was loaded; there is nothing to tell before `start`."""
        if self._info is None:
            raise RuntimeError("the engine was not started")
        return self._info

    @property
    def state(self) -> EngineState:
        """How the process fares."""
        ready = self._worker is not None
        return EngineState(ready=ready, restarts=self._restarts, memory_bytes=self._memory_bytes if ready else None)

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none that is ready."""
        return self._worker.pid if self._worker else None

    async def _ask(self, frame: Frame) -> Frame:
        """The one frame that answers a call."""
        async with aclosing(self._call(frame)) as answer:
            return await anext(answer)

    async def _call(self, asked: Frame) -> AsyncGenerator[Frame, None]:
        """The frames that answer a call, the last of them DONE, after those who asked before; or its EngineError."""
        await self._living()
        await self._slots.acquire()
        try:
            worker = await self._living()
        except BaseException:
            self._slots.release()
            raise
        number = next(self._ids)
        call = self._calls[number] = _Call()
        self._silent_s = 0.0
        worker.send(Frame(Kind.CALL, number, asked.fields, asked.body))
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

    async def _living(self) -> WorkerProcess:
        """The worker, as soon as it is ready."""
        if self._worker is None and not self._closed:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ready.wait(), self._load_timeout_s)
        if self._worker is None or self._closed:
            raise EngineError(
                self._stage, f"the {self._stage.value} engine is not ready", code=ErrorCode.MODEL_NOT_READY
            )
        return self._worker

    def _abandon(self, worker: WorkerProcess, number: int) -> None:
        """Nobody waits for this call any more; its slot stays taken until the worker is done with it."""
        worker.send(Frame(Kind.CANCEL, number))
        why = f"did not end a cancelled call within {self._cancel_grace_s:g} s"
        self._calls[number].last_resort = asyncio.get_running_loop().call_later(self._cancel_grace_s, worker.kill, why)

    async def _keep(self, worker: WorkerProcess) -> None:
        """Listens to a worker until it dies, then starts the next, for as long as the host is open."""
        while True:
            watch = asyncio.create_task(self._watch(worker), name=f"watch[{self._stage.value}]")
            try:
                while frame := await worker.receive():
                    self._take(frame)
            except ValueError as exc:
                worker.kill(f"spoke out of turn: {exc}")
            finally:
                watch.cancel()
            self._worker = None
            self._ready.clear()
            how = await worker.close(self._cancel_grace_s)
            logger.warning("%s engine %s; its last words: %s", self._stage.value, how, worker.last_words or "none")
            self._lose(how)
            worker = await self._reload()

    async def _watch(self, worker: WorkerProcess) -> None:
        """Pings the worker; kills it when it is busy and silent for too long."""
        pause_s = min(_PING_S, self._hang_timeout_s / 4)
        while True:
            worker.send(Frame(Kind.PING))
            await asyncio.sleep(pause_s)
            # Counted in pauses, not by the clock: an agent that was itself stopped for a while blames nobody.
            self._silent_s += pause_s
            if self._calls and self._silent_s >= self._hang_timeout_s:
                worker.kill(f"silent for {self._hang_timeout_s:g} s in the middle of a call")

    def _take(self, frame: Frame) -> None:
        self._silent_s = 0.0
        if frame.kind is Kind.PONG:
            self._memory_bytes = frame.fields["memory_bytes"]
            return
        call = self._calls.get(frame.call)
        if call is None:
            return
        if frame.kind is Kind.PIECE:
            call.frames.put_nowait(frame)
            return
        self._end(frame.call, self._error(frame) if frame.kind is Kind.ERROR else frame)

    def _end(self, number: int, last: Frame | EngineError) -> None:
        call = self._calls.pop(number)
        if call.last_resort:
            call.last_resort.cancel()
        call.frames.put_nowait(last)
        self._slots.release()

    def _lose(self, how: str) -> None:
        """The worker is gone, and with it every call that it was in the middle of."""
        self._worker = None
        for number in list(self._calls):
            self._end(number, EngineDied(self._stage, f"the {self._stage.value} engine {how}"))
        self._changed()

    async def _reload(self) -> WorkerProcess:
        pause_s = _RETRY_MIN_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                worker, ready = await self._load()
            except (EngineError, OSError) as exc:
                pause_s = min(2 * pause_s, _RETRY_MAX_S)
                logger.warning("%s engine %s: %s; again in %.1f s", self._stage.value, self._name, exc, pause_s)
            else:
                self._restarts += 1
                self._welcome(worker, ready)
                return worker

    async def _load(self) -> tuple[WorkerProcess, Frame]:
        started = time.monotonic()
        fields = {"name": self._name, "options": self._options, "models_dir": str(self._models_dir)}
        worker = await WorkerProcess.spawn(self._stage, self._environment)
        ready = None
        try:
            worker.send(Frame(Kind.LOAD, fields=fields))
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            first = await asyncio.wait_for(worker.receive(), self._load_timeout_s)
            ready = first if first and first.kind is Kind.READY else None
        except asyncio.TimeoutError:
            first = None
            worker.kill(f"did not load within {self._load_timeout_s:g} s")
        finally:
            if ready is None:
                how = await worker.close(self._cancel_grace_s)
        if ready:
            logger.info("%s engine ready in %.1f s, pid %d", self._stage.value, time.monotonic() - started, worker.pid)
            return worker, ready
        if first:
            raise self._error(first)
        last_words = worker.last_words or "none"
        raise EngineError(self._stage, f"the {self._stage.value} engine {how}; its last words: {last_words}")

    def _welcome(self, worker: WorkerProcess, ready: Frame) -> None:
        self._worker = worker
        self._info = EngineInfo.model_validate(ready.fields["info"], strict=False)
        self._memory_bytes = ready.fields["memory_bytes"]
        self._silent_s = 0.0
        self._ready.set()
        self._changed()

    def _error(self, frame: Frame) -> EngineError:
        fields = frame.fields
        return EngineError(self._stage, fields["message"], code=ErrorCode(fields["code"]), reason=fields["reason"])

    def _changed(self) -> None:
        try:
            self._on_change()
        except Exception:
            logger.exception("telling of a change of the %s engine", self._stage.value)


class SpeechToTextHost(EngineHost):
    """AsyncSpeechToText over a worker."""

    async def transcribe(self, audio: Audio, *, language: str | None) -> Transcript:
        """What is said in `audio`."""
        done = await self._ask(audio_frame(Kind.CALL, 0, audio, language=language))
        return TRANSCRIPT.validate_python(done.fields)


class LanguageModelHost(EngineHost):
    """AsyncLanguageModel over a worker."""

    async def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces; the last has a finish_reason."""
        fields = {
            "messages": MESSAGES.dump_python(list(messages), mode="json"),
            "sampling": sampling.model_dump(mode="json", exclude_none=True),
        }
        async with aclosing(self._call(Frame(Kind.CALL, fields=fields))) as answer:
            async for frame in answer:
                if frame.kind is Kind.PIECE:
                    yield DELTA.validate_python(frame.fields)


class TextToSpeechHost(EngineHost):
    """AsyncTextToSpeech over a worker."""

    async def synthesize(self, text: str, *, voice: str | None, speed: float) -> Audio:
        """`text` as it sounds."""
        return audio_of(await self._ask(Frame(Kind.CALL, fields={"text": text, "voice": voice, "speed": speed})))


class HostArguments(TypedDict):
    """What every host needs to know beside its engine."""

    models_dir: Path
    load_timeout_s: float
    hang_timeout_s: float
    cancel_grace_s: float
    environment: Mapping[str, str]
    on_change: Callable[[], None]


def host_for(stage: Stage, name: str, options: dict[str, Any], **how: Unpack[HostArguments]) -> EngineHost:
    """The host of a stage's engine, not yet started."""
    hosts = {Stage.STT: SpeechToTextHost, Stage.LLM: LanguageModelHost, Stage.TTS: TextToSpeechHost}
    return hosts[stage](stage, name, options, **how)
