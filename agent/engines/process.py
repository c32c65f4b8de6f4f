"""A worker as its host sees it: a process with a socket to speak through and last words to remember."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from typing_extensions import Self

from agent.contract.terms import Stage
from agent.engines.frames import Frame, read_frame

logger = logging.getLogger(__name__)

_LAST_WORDS = 20
_IMPORT_ROOT = str(Path(__file__).parents[2])


class WorkerProcess:
    """One worker, from start to end; made by `spawn`."""

    def __init__(
        self,
        stage: Stage,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._stage = stage
        self._process = process
        self._reader = reader
        self._writer = writer
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._killed_for: str | None = None
        self._listening = asyncio.create_task(self._listen(), name=f"stderr[{stage.value}]")

    @classmethod
    async def spawn(cls, stage: Stage, environment: Mapping[str, str]) -> Self:
        """Starts a worker in a session of its own, so that Ctrl-C in the agent's terminal does not reach it."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "agent.engines.worker", stage.value, str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": _import_path(), **environment},
                )
            )
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # What was begun is ended in order: left to itself, it would outlive its event loop.
                process = await starting
                process.kill()
                await process.communicate()
                writer.close()
                raise
        return cls(stage, process, reader, writer)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The end of what it wrote on stderr, on one line."""
        return " | ".join(self._words)

    def send(self, frame: Frame) -> None:
        """Queues `frame`; one that cannot arrive any more is dropped, as `receive` will tell."""
        self._writer.write(frame.encode())

    async def receive(self) -> Frame | None:
        """The worker's next frame; None once it is gone."""
        return await read_frame(self._reader)

    def kill(self, why: str) -> None:
        """Ends it at once; `why` becomes how it ended."""
        self._killed_for = self._killed_for or why
        with suppress(ProcessLookupError):
            self._process.kill()

    async def close(self, grace_s: float) -> str:
        """Lets it end by itself, for as long as `grace_s`, and says how it ended."""
        self._writer.close()
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(self._process.wait(), grace_s)
        except asyncio.TimeoutError:
            self.kill(f"did not end within {grace_s:g} s")
        finally:
            if self._process.returncode is None:
                self.kill("lost its host")
        return await self._ended()

    async def _ended(self) -> str:
        status = await self._process.wait()
        await self._listening
        if self._killed_for:
            return self._killed_for
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    async def _listen(self) -> None:
        if self._process.stdout is None:
            return
        while True:
            try:
                line = await self._process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as exc:
                self._remember(exc.partial)
                return
            except asyncio.LimitOverrunError as exc:
                line = await self._process.stdout.readexactly(exc.consumed)
            self._remember(line)

    def _remember(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").strip():
            self._words.append(text[:500])
            logger.debug("%s: %s", self._stage.value, text)


def _import_path() -> str:
    """Lets the worker find this very package, whatever its working directory."""
    return os.pathsep.join(filter(None, (_IMPORT_ROOT, os.environ.get("PYTHONPATH"))))
