"""A language model for programs that know nothing of asyncio: its event loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import aclosing, suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from agent.engines.base import Delta
from agent.engines.host import LanguageModelHost

_Result = TypeVar("_Result")


class EngineThread:
    """One engine from `start` to `close`, asked from any other thread."""

    def __init__(self, open_engine: Callable[[], Awaitable[LanguageModelHost]]) -> None:
        self._open = open_engine
        self._loop = asyncio.new_event_loop()
        self._serving = self._loop.create_task(self._serve(), name="mlc_chat")
        self._opened: Future[LanguageModelHost] = Future()
        # What waits for a thread at the interpreter's end would never get to closing it.
        self._thread = threading.Thread(target=self._run, name="mlc_chat", daemon=True)

    def start(self) -> LanguageModelHost:
        """The engine, loaded; EngineError says why there is none."""
        self._thread.start()
        return self._opened.result()

    def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What comes of `work`, done there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stream(self, deltas: AsyncGenerator[Delta, None]) -> Generator[Delta, None, None]:
        """An answer as it comes; closing the generator ends the engine's work."""
        arrived: SimpleQueue[Delta | None] = SimpleQueue()

        async def carry() -> None:
            try:
                async with aclosing(deltas):
                    async for delta in deltas:
                        arrived.put(delta)
            finally:
                arrived.put(None)

        carrying = asyncio.run_coroutine_threadsafe(carry(), self._loop)
        try:
            while delta := arrived.get():
                yield delta
            carrying.result()
        finally:
            carrying.cancel()

    def close(self) -> None:
        """Ends the engine's process, and the thread; to be called once, whatever became of `start`."""
        with suppress(RuntimeError):  # there is no loop any more where nothing could be loaded
            self._loop.call_soon_threadsafe(self._serving.cancel)
        if threading.current_thread() is not self._thread:  # where garbage is collected, anything is
            self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serving)
        finally:
            # Not `asyncio.run`: it starts a thread to end others, which is refused at the interpreter's end.
            self._loop.close()

    async def _serve(self) -> None:
        try:
            engine = await self._open()
        except BaseException as exc:  # noqa: BLE001 - told to whoever waits for it
            self._opened.set_exception(exc)
            return
        self._opened.set_result(engine)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await engine.close()
            answering = asyncio.all_tasks() - {self._serving}
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)
