"""The gate: how much is taken on, and how many of those requests are worked on at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.contract.errors import ContractError
from agent.contract.limits import Limits
from agent.contract.terms import RunState
from agent.errors import Busy, NotReady
from agent.journal.entries import RunKey
from agent.pipeline.load import Excess, Holdings, Load
from agent.pipeline.pace import Expected, Pace
from agent.pipeline.queue import Queue
from agent.pipeline.run import Run

_TELL_INTERVAL_S = 1.0
_SHORTEST_RETRY_S = 0.1
_LONGEST_RETRY_S = 60.0
_MARGIN = 1.1
"""Who comes back a little late is let in; who comes back a little early has asked in vain again."""


@dataclass(frozen=True)
class Standing:
    """Where a run is."""

    state: RunState
    """Whether it waits for its turn, or had it."""
    position: int | None = None
    """Runs that will begin before it, while it waits."""
    eta_ms: int | None = None
    """When it will begin, as far as can be told [ms]."""


class Admission:
    """Holds every run from admission to its reply; runs wait here for their turn, round robin between clients."""

    def __init__(self, limits: Limits, *, max_concurrent: int, trusted: Collection[str] = ()) -> None:
        """`trusted` clients stand for many callers: the bounds of a single one do not hold for them."""
        self._max_concurrent = max_concurrent
        self._open = False
        self._held: dict[RunKey, Run] = {}
        self._holdings = Holdings(limits, trusted)
        self._queue: Queue[Run] = Queue()
        self._called: dict[Run, asyncio.Future[None]] = {}
        """Who waits in the queue for this."""
        self._began: dict[Run, float] = {}
        """When those who have their turn began."""
        self._pace = Pace(max_concurrent)
        self._telling: asyncio.TimerHandle | None = None

    @property
    def running(self) -> int:
        """Runs that have their turn."""
        return len(self._began)

    @property
    def queued(self) -> int:
        """Runs that are held beside those."""
        return len(self._held) - self.running

    @property
    def queued_bytes(self) -> int:
        """Size of all runs that are held [bytes]."""
        return self._holdings.total.size_bytes

    @property
    def full(self) -> bool:
        """Whether one more would be refused."""
        return self._holdings.full

    @property
    def overdue_s(self) -> float:
        """How long ago the deadline of a run passed that is still held [s]; 0 where none did."""
        return max((run.overdue_s for run in self._held.values()), default=0.0)

    def open(self) -> None:
        """Lets the runs begin: the engines are ready."""
        self._open = True
        self._call()

    @property
    def held(self) -> list[Run]:
        """All runs that have no reply yet."""
        return list(self._held.values())

    def find(self, key: RunKey) -> Run | None:
        """The run of this request, if it has no reply yet."""
        return self._held.get(key)

    def of_client(self, client: str) -> list[Run]:
        """The runs of `client` that have no reply yet."""
        return [run for run in self.held if run.key.client == client]

    def standing(self, run: Run) -> Standing:
        """Where `run`, which is held, is."""
        if run in self._began or run.begun:
            return Standing(RunState.RUNNING)
        is_about_to_wait = run not in self._queue
        if is_about_to_wait:
            self._join(run)
        standing = next(standing for who, standing in self._standings() if who is run)
        if is_about_to_wait:
            self._queue.leave(run)
        return standing

    def admit(self, run: Run, *, exempt: bool = False, instead_of: Collection[Run] = ()) -> None:
        """Takes `run` on; Busy or NotReady over a bound. `exempt` from bounds is what was taken on before a restart.

        `instead_of`: runs of the same client that are about to be released, and do not count any more.
        """
        load = Load.of(run.admitted)
        leaving = [other.key for other in instead_of]
        excess = None if exempt else self._holdings.excess(run.key.client, load, without=leaving)
        if excess:
            raise self._refusal(load, excess)
        self._held[run.key] = run
        self._holdings.add(run.key, load)

    def release(self, run: Run) -> None:
        """Lets go of `run`: it has its reply, or its journal entry will bring it back."""
        if self._held.pop(run.key, None):
            self._holdings.remove(run.key)
        self._queue.free(run)
        self._call()

    @asynccontextmanager
    async def turn(self, run: Run) -> AsyncIterator[None]:
        """Waits until `run` may begin, and tells it how it stands; another may begin as soon as the block ends."""
        self._join(run)
        called = self._called[run] = asyncio.get_running_loop().create_future()
        self._call()
        try:
            if not called.done():
                self._tell_soon(run)
            await called
            yield
        finally:
            self._leave(run)

    def _join(self, run: Run) -> None:
        lane = run.memory.key if run.memory else None
        self._queue.join(run, client=run.key.client, priority=run.admitted.request.priority, lane=lane)

    def _call(self) -> None:
        """Gives the turns that are free to those who are next."""
        while self._open and len(self._began) < self._max_concurrent and (run := self._queue.call()):
            called = self._called.pop(run)
            if not called.done():  # else it has just been cancelled, and is about to leave
                self._began[run] = _now()
                called.set_result(None)

    def _leave(self, run: Run) -> None:
        self._queue.leave(run)
        self._called.pop(run, None)
        began = self._began.pop(run, None)
        if began is not None:
            self._pace.took(_now() - began)
        self._call()

    def _forecast(self) -> Iterator[Expected[Run]]:
        running = ((run, _now() - began) for run, began in self._began.items())
        return self._pace.forecast(running, self._queue.order())

    def _standings(self) -> Iterator[tuple[Run, Standing]]:
        """How those in the queue stand, in their order."""
        waiting = (expected for expected in self._forecast() if expected.who in self._queue)
        for position, expected in enumerate(waiting):
            eta_ms = round(expected.begins_s * 1_000) if self._open else None
            yield expected.who, Standing(RunState.QUEUED, position, eta_ms)

    def _tell_soon(self, run: Run) -> None:
        """Tells `run` how it stands, at once, and from now on all of them as long as there is a queue."""
        if run.is_followed:
            self._tell(run, self.standing(run))
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_INTERVAL_S, self._tell_all)

    def _tell_all(self) -> None:
        self._telling = None
        for run, standing in self._standings():
            self._tell(run, standing)
        if len(self._queue):
            self._telling = asyncio.get_running_loop().call_later(_TELL_INTERVAL_S, self._tell_all)

    @staticmethod
    def _tell(run: Run, standing: Standing) -> None:
        if standing.position is not None:
            run.waits(standing.position, standing.eta_ms)

    def _refusal(self, load: Load, excess: Excess) -> ContractError:
        """What who asks for room for `load` is told: why there is none, and when there will be."""
        if not self._open:
            return NotReady("the engines are still loading, and the queue is full")
        wait_s = min(max(self._room_in_s(load, excess) * _MARGIN, _SHORTEST_RETRY_S), _LONGEST_RETRY_S)
        return Busy(
            str(excess),
            retry_after_ms=round(wait_s * 1_000),
            limit=excess.limit,
            queue_depth=len(self._held),
        )

    def _room_in_s(self, load: Load, excess: Excess) -> float:
        """When enough of what fills the bound will have ended for `load` to go with the rest, by the measured pace."""
        held, wait_s = excess.held, self._pace.mean_s
        for expected in self._forecast():
            key, wait_s = expected.who.key, expected.ends_s
            if excess.client in {None, key.client} and key in self._held:
                held = held.minus(self._holdings.load(key))
                if not held.plus(load).passes(excess.bound):
                    break
        return wait_s


def _now() -> float:
    return asyncio.get_running_loop().time()
