"""The gate: how many requests are taken on, and how many of those are worked on at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.contract.limits import Limits
from agent.errors import Busy, NotReady
from agent.journal.entries import RunKey
from agent.pipeline.run import Run

_FIRST_GUESS_S = 2.0
_SMOOTHING = 0.2


class Admission:
    """Holds every run from admission to its reply; runs wait here for their turn, first come first served."""

    def __init__(self, limits: Limits, *, max_concurrent: int) -> None:
        self._limits = limits
        self._max_concurrent = max_concurrent
        self._turns = asyncio.Semaphore(max_concurrent)
        self._open = asyncio.Event()
        self._held: dict[RunKey, Run] = {}
        self._per_client: Counter[str] = Counter()
        self._run_s = _FIRST_GUESS_S
        self.running = 0

    @property
    def queued(self) -> int:
        """Runs that wait for their turn."""
        return len(self._held) - self.running

    @property
    def full(self) -> bool:
        """Whether one more would be refused."""
        return len(self._held) >= self._limits.max_queued

    def open(self) -> None:
        """Lets the runs begin: the engines are ready."""
        self._open.set()

    def find(self, key: RunKey) -> Run | None:
        """The run of this request, if it has no reply yet."""
        return self._held.get(key)

    def of_client(self, client: str) -> list[Run]:
        """The runs of `client` that have no reply yet."""
        return [run for run in self._held.values() if run.key.client == client]

    def admit(self, run: Run, *, exempt: bool = False) -> None:
        """Takes `run` on; Busy or NotReady over a bound. `exempt` from bounds is what was taken on before a restart."""
        client = run.key.client
        if not exempt:
            self._check(self._limits.max_queued, len(self._held), "requests")
            self._check(self._limits.max_queued_per_client, self._per_client[client], f"requests of {client}")
        self._held[run.key] = run
        self._per_client[client] += 1

    def release(self, run: Run) -> None:
        """Lets go of `run`: it has its reply, or its journal entry will bring it back."""
        if self._held.pop(run.key, None):
            self._per_client[run.key.client] -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until a run may begin; another may as soon as the block ends."""
        await self._open.wait()
        async with self._turns:
            self.running += 1
            start = asyncio.get_running_loop().time()
            try:
                yield
            finally:
                self.running -= 1
                took = asyncio.get_running_loop().time() - start
                self._run_s += _SMOOTHING * (took - self._run_s)

    def _check(self, limit: int, held: int, what: str) -> None:
        if held < limit:
            return
        if not self._open.is_set():
            raise NotReady("the engines are still loading, and the queue is full")
        wait_s = self._run_s * max(1, len(self._held) - self._max_concurrent) / self._max_concurrent
        raise Busy(f"{held} {what} wait already", retry_after_ms=max(100, round(wait_s * 1_000)), limit=limit)
