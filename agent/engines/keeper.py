"""Keeps an engine's worker: loads it, listens to it, and loads it anew when it dies or hangs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo, EngineState
from agent.contract.terms import Stage
from agent.engines.backoff import Backoff
from agent.engines.calls import Failure, Load, Pong, Ready
from agent.engines.frames import Frame, Kind
from agent.engines.inflight import CallsInFlight
from agent.engines.process import WorkerProcess
from agent.engines.settings import EngineSettings, LanguageModelSettings
from agent.errors import EngineError

logger = logging.getLogger(__name__)

_PING_S = 2.0


class Keeper:
    """One engine's process, and its successors, for as long as it is open."""

    def __init__(
        self,
        stage: Stage,
        settings: EngineSettings,
        models_dir: Path,
        *,
        calls: CallsInFlight,
        on_change: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._settings = settings
        self._models_dir = models_dir
        self._calls = calls
        self._on_change = on_change
        self._worker: WorkerProcess | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._closed = False
        self._info: EngineInfo | None = None
        self._memory_bytes: int | None = None
        self._silent_s = 0.0
        self._restarts = 0
        self._backoff = Backoff()

    async def start(self) -> None:
        """Loads the engine; EngineError, with the worker's last words, where that fails."""
        worker, ready = await self._load()
        self._calls.open(ready.slots, ready.sessions)
        self._welcome(worker, ready)
        self._keeping = asyncio.create_task(self._keep(worker), name=f"engine[{self._stage.value}]")

    async def close(self) -> None:
        """Ends the worker; calls in progress fail, and so do later ones."""
        self._closed = True
        self._ready.set()
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._worker:
            await self._worker.close(self._settings.cancel_grace_s)
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
        return EngineState(
            ready=ready,
            busy=self._calls.busy,
            restarts=self._restarts,
            memory_bytes=self._memory_bytes if ready else None,
        )

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none that is ready."""
        return self._worker.pid if self._worker else None

    @property
    def worker(self) -> WorkerProcess | None:
        """The worker, where it can be asked at this moment."""
        return None if self._closed else self._worker

    async def ready(self) -> WorkerProcess:
        """The worker, as soon as it can be asked; EngineError where that takes longer than loading may."""
        if self._worker is None and not self._closed:
            with suppress(asyncio.TimeoutError):
                # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
                await asyncio.wait_for(self._ready.wait(), self._settings.load_timeout_s)
        if self._worker is None or self._closed:
            raise EngineError(
                self._stage, f"the {self._stage.value} engine is not ready", code=ErrorCode.MODEL_NOT_READY
            )
        return self._worker

    async def _keep(self, worker: WorkerProcess) -> None:
        while True:
            born = time.monotonic()
            await self._listen(worker)
            lived_s = time.monotonic() - born
            self._worker = None
            self._ready.clear()
            how = await worker.close(self._settings.cancel_grace_s)
            logger.warning("%s engine %s; its last words: %s", self._stage.value, how, worker.last_words or "none")
            self._lose(how)
            worker = await self._reload(lived_s)

    async def _listen(self, worker: WorkerProcess) -> None:
        """Returns once the worker says no more."""
        watch = asyncio.create_task(self._watch(worker), name=f"watch[{self._stage.value}]")
        try:
            while frame := await worker.receive():
                self._take(frame)
        except Exception as exc:  # noqa: BLE001 - whatever a worker says, it is kept
            worker.kill(f"spoke out of turn: {exc}")
        finally:
            watch.cancel()

    async def _watch(self, worker: WorkerProcess) -> None:
        """Pings the worker; kills it when it is busy and silent for too long."""
        hang_timeout_s = self._settings.hang_timeout_s
        pause_s = min(_PING_S, hang_timeout_s / 4)
        while True:
            worker.send(Frame(Kind.PING))
            await asyncio.sleep(pause_s)
            # Counted in pauses, not by the clock: an agent that was itself stopped for a while blames nobody.
            self._silent_s = self._silent_s + pause_s if self._calls.busy else 0.0
            if self._silent_s >= hang_timeout_s:
                worker.kill(f"silent for {hang_timeout_s:g} s in the middle of a call")

    def _take(self, frame: Frame) -> None:
        self._silent_s = 0.0
        if frame.kind is Kind.PONG:
            self._memory_bytes = Pong.of(frame).memory_bytes
            return
        self._calls.take(frame)

    async def _reload(self, lived_s: float) -> WorkerProcess:
        pause_s = self._backoff.after(lived_s)
        while True:
            logger.info("%s engine starts again in %.1f s", self._stage.value, pause_s)
            await asyncio.sleep(pause_s)
            try:
                worker, ready = await self._load()
            except Exception as exc:  # noqa: BLE001 - nothing ends the keeping
                logger.warning("%s engine %s: %s", self._stage.value, self._settings.name, exc)
                pause_s = self._backoff.after(0.0)
            else:
                self._restarts += 1
                self._welcome(worker, ready)
                return worker

    async def _load(self) -> tuple[WorkerProcess, Ready]:
        started = time.monotonic()
        timeout_s = self._settings.load_timeout_s
        worker = await WorkerProcess.spawn(self._stage, self._settings.environment)
        ready = None
        try:
            load = Load(
                name=self._settings.name,
                options=self._settings.options,
                models_dir=self._models_dir,
                template=self._settings.template if isinstance(self._settings, LanguageModelSettings) else None,
            )
            worker.send(load.frame())
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            first = await asyncio.wait_for(worker.receive(), timeout_s)
            ready = Ready.of(first) if first and first.kind is Kind.READY else None
        except asyncio.TimeoutError:
            first = None
            worker.kill(f"did not load within {timeout_s:g} s")
        finally:
            if ready is None:
                how = await worker.close(self._settings.cancel_grace_s)
        if ready:
            logger.info("%s engine ready in %.1f s, pid %d", self._stage.value, time.monotonic() - started, worker.pid)
            return worker, ready
        if first:
            raise Failure.of(first).error(self._stage)
        last_words = worker.last_words or "none"
        raise EngineError(self._stage, f"the {self._stage.value} engine {how}; its last words: {last_words}")

    def _welcome(self, worker: WorkerProcess, ready: Ready) -> None:
        self._worker = worker
        self._info = ready.info
        self._memory_bytes = ready.memory_bytes
        self._silent_s = 0.0
        self._ready.set()
        self._changed()

    def _lose(self, how: str) -> None:
        """The worker is gone, and with it every call that it was in the middle of."""
        self._worker = None
        self._calls.lose(how)
        self._changed()

    def _changed(self) -> None:
        try:
            self._on_change()
        except Exception:
            logger.exception("telling of a change of the %s engine", self._stage.value)
