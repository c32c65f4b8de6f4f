"""One child process: started in a session of its own, ready or told why not, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from typing_extensions import Self

from agent.errors import UserError
from agent.stack.ports import check_free

_LAST_WORDS_LINES = 15
_LAST_WORDS_BYTES = 8_192
_LETTING_GO_S = 2.0
_LOOK_S = 0.02


class ChildError(UserError):
    """A program we started ended, or did not become ready."""

    def __init__(self, what: str, last_words: str = "") -> None:
        """`what` is one line; the message has `last_words` after it."""
        super().__init__(f"{what}{last_words}")
        self.what = what
        self.last_words = last_words


class Child:
    """A program that runs as long as we do, and may be started again."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path | None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        port: int | None = None,
        ready: Callable[[], Awaitable[object]] | None = None,
        ready_timeout_s: float = 30.0,
        grace_s: float = 25.0,
    ) -> None:
        """`log` None passes the output through; `user` needs root; `port` is the one it will listen on.

        `ready` returns once the program does its work; `grace_s` is from SIGTERM to SIGKILL.
        """
        self.name = name
        self._argv = [*_die_with_parent(), *argv]
        self._log = log
        self._env = env
        self._user = user
        self._port = port
        self._ready = ready
        self._ready_timeout_s = ready_timeout_s
        self._grace_s = grace_s
        self._process: Process | None = None
        self._killed = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, as far as we were told."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its process id; ChildError where it does not run."""
        if self._process is None or not self.running:
            raise self._not_running()
        return self._process.pid

    async def start(self) -> None:
        """Returns once it is ready; UserError where it cannot start, ends, or takes too long: then it is gone."""
        if self.running:
            raise ChildError(f"{self.name} is already running")
        if self._port:
            await self._until_free(self._port)  # we would take whoever listens there for our child
        self._process = await self._spawn()
        try:
            if self._ready:
                await self._until(self._ready())
        except BaseException:
            await self.kill()
            raise

    async def wait(self) -> None:
        """Returns only by ChildError, once the program has ended without being told to."""
        if self._process is None:
            raise self._not_running()
        raise ChildError(f"{self.name} ended with {_how(await self._process.wait())}", self._last_words())

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the grace time; nothing of its session is left."""
        if self._process is None:
            return
        try:
            if self.running:
                self._process.terminate()
                await asyncio.wait_for(self._process.wait(), self._grace_s)
        except asyncio.TimeoutError:
            pass
        finally:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, to it and to whatever it started in its session."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._process = None
        self._killed = True

    async def _spawn(self) -> Process:
        with contextlib.ExitStack() as files:
            if self._log:
                self._log.touch(mode=0o600)
            output = files.enter_context(self._log.open("ab")) if self._log else None
            return await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop our children in order
            )

    async def _until_free(self, port: int) -> None:
        """UserError where somebody listens there; what we killed a moment ago is given time to let go of it."""
        deadline = time.monotonic() + (_LETTING_GO_S if self._killed else 0)
        while True:
            try:
                check_free(port)
            except UserError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_LOOK_S)
            else:
                return

    async def _until(self, ready: Awaitable[object]) -> None:
        waiting = asyncio.ensure_future(ready)
        ended = asyncio.ensure_future(self.wait())
        try:
            done, _ = await asyncio.wait(
                {waiting, ended}, timeout=self._ready_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise ChildError(f"{self.name} was not ready within {self._ready_timeout_s:g} s", self._last_words())
            (ended if ended in done else waiting).result()
        finally:
            waiting.cancel()
            ended.cancel()
            await asyncio.gather(waiting, ended, return_exceptions=True)

    def _not_running(self) -> ChildError:
        return ChildError(f"{self.name} is not running")

    def _last_words(self) -> str:
        if self._log is None:
            return "; its last words are above"
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _LAST_WORDS_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()[-_LAST_WORDS_LINES:]
        if not lines:
            return ", without a word"
        return "\n".join(["; its last words:", *(f"    {line}" for line in lines)])


def _die_with_parent() -> list[str]:
    """The kernel ends the child with us, even where we are killed. Linux only; elsewhere it may outlive us."""
    # Not by preexec_fn: Python code between fork and exec may deadlock where there are threads.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _how(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
