"""The runs at hand: written down, performed, answered once; whatever goes wrong in one becomes its reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar

from agent.contract.errors import ContractError
from agent.errors import Busy, StorageError, internal
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.journal.journal import Journal
from agent.logs import current_run
from agent.mqtt.message import Message
from agent.operations import PLANS
from agent.pipeline.admission import Admission
from agent.pipeline.hearing import Live
from agent.pipeline.run import Run
from agent.pipeline.stages import Stages
from agent.pipeline.telling import Teller
from agent.replies.replies import Replies
from agent.runs.answers import Answers, OnEnd
from agent.runs.revival import revived
from agent.runs.unwritten import Unwritten
from agent.sessions.conversations import Conversations

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_REPLY_TOPICS = 4
"""One request may have its reply sent to this many topics, by being sent again; each costs a whole reply."""


class Runs:
    """Every request that was taken on and has no reply yet."""

    def __init__(
        self,
        *,
        agent: str,
        admission: Admission,
        journal: Journal,
        stages: Stages,
        conversations: Conversations,
        replies: Replies,
        ack: Callable[[Message], None],
        on_change: Callable[[], None],
        on_end: OnEnd,
    ) -> None:
        """`ack` is told of each message once a crash cannot lose it; `on_change` when a run begins or ends.

        `on_end` is told of each outcome.
        """
        self._admission = admission
        self._journal = journal
        self._stages = stages
        self._conversations = conversations
        self._replies = replies
        self._answers = Answers(agent=agent, journal=journal, replies=replies, on_end=on_end)
        self._on_change = on_change
        self._unwritten = Unwritten(journal, ack)
        self._afterwards: dict[RunKey, list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(
        self,
        admitted: Admitted,
        message: Message | None,
        *,
        live: Live | None = None,
        instead_of: Collection[Run] = (),
    ) -> None:
        """Takes a request on. ContractError: it cannot be done, there is no room, or nothing can be written down.

        `message` None: nobody waits for an acknowledgement. `live`, what there is of the run, is closed with it.
        `instead_of`: runs that are about to be cancelled for it, and leave it their room.
        """
        self._journal.check()
        run = self._run(admitted, live=live)
        self._admission.admit(run, instead_of=instead_of)
        self._unwritten.add(run.key, message)
        task = self._start(self._take_on(run, first=not (message and message.redelivered)), run)
        if live:
            task.add_done_callback(lambda _: live.close())

    def join(self, run: Run, to: ReplyTo, message: Message | None) -> None:
        """The same request once more: it waits for the same reply. Busy where it would go to too many topics."""
        if len(run.reply_to | {to}) > _MAX_REPLY_TOPICS:
            raise Busy(f"{run.key} has its reply sent to enough topics", retry_after_ms=1_000, limit=_MAX_REPLY_TOPICS)
        run.reply_to.add(to)
        if message:
            self._unwritten.join(run.key, message)

    def after(self, run: Run, do: Callable[[], None]) -> None:
        """Calls `do` once `run`, which is held, has its outcome."""
        self._afterwards.setdefault(run.key, []).append(do)

    def resume(self) -> None:
        """Takes up what an earlier process left: sends its unsent replies, runs what has none.

        What it had begun goes first, one after the other: if one of them ended the agent, no other is blamed for it.
        """
        try:
            self._answers.resume()
            for run in self._admission.held:
                if run.key not in self._unwritten:
                    self._journal.keep(run.admitted, begun=run.begun)
            left = self._journal.unanswered(unless=self._admission.find)
        except StorageError as exc:
            logger.warning("nothing is resumed before the journal can be read: %s", exc.message)
            return
        former: asyncio.Task[None] | None = None
        for entry in sorted(left, key=lambda entry: entry.attempts == 0):
            run, error = revived(entry, self._run)
            self._admission.admit(run, exempt=True)
            work = self._answer_alone(run, error) if error else self._see_through(run, self._turn_again(run, former))
            task = self._start(work, run)
            former = task if entry.attempts and not error else former

    async def finish(self, grace_s: float) -> None:
        """Waits up to `grace_s` for the runs at hand, then leaves the rest to the journal."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._answers.close()

    def _run(self, admitted: Admitted, age_s: float = 0.0, *, live: Live | None = None) -> Run:
        plan = PLANS[admitted.operation](admitted.request, admitted.clip)
        memory = self._conversations.memory(admitted)
        if live:
            return Run(admitted, plan, live.teller, memory=memory, hearing=live.hearing)
        listener = self._replies.listener(admitted.request, admitted.reply_to)
        return Run(admitted, plan, Teller(admitted.key.id, listener, age_s=age_s), memory=memory)

    def _start(self, work: Coroutine[Any, Any, T], run: Run) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=f"run[{run.key}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take_on(self, run: Run, *, first: bool) -> None:
        """The run begins while it is being written down; nobody is told of its outcome before it is.

        One that is not there for the `first` time begins after that: it may have ended the agent before it was counted.
        """
        writing = self._start(self._unwritten.write_down(run), run)
        turn = self._turn(run) if first else self._turn_again(run, writing)
        await self._see_through(run, turn, writing)

    async def _answer_alone(self, run: Run, error: ContractError) -> None:
        async with self._held(run):
            await self._answers.give(run, error)

    async def _see_through(
        self,
        run: Run,
        turn: AbstractAsyncContextManager[None],
        writing: asyncio.Task[StorageError | None] | None = None,
    ) -> None:
        async with self._held(run):
            error = await self._perform(run, turn)
            unrecorded = await writing if writing else None
            if unrecorded:
                self._answers.refuse(run, unrecorded)
            else:
                await self._answers.give(run, error)

    @asynccontextmanager
    async def _held(self, run: Run) -> AsyncIterator[None]:
        current_run.set(str(run.key))
        self._on_change()
        try:
            yield
        except asyncio.CancelledError:
            if run.begun:
                self._journal.interrupted(run.key)
            raise
        finally:
            self._admission.release(run)
            self._on_change()
            for do in self._afterwards.pop(run.key, ()):
                do()

    @asynccontextmanager
    async def _turn(self, run: Run) -> AsyncIterator[None]:
        async with self._admission.turn(run):
            self._unwritten.begun(run.key)
            yield

    @asynccontextmanager
    async def _turn_again(self, run: Run, former: asyncio.Task[Any] | None) -> AsyncIterator[None]:
        """Waits for the `former` task, too; that this run may end the agent is written down before it can."""
        if former:
            await asyncio.wait({former})
        async with self._admission.turn(run):
            with suppress(StorageError):  # a run that cannot be counted is better than none
                await self._journal.begun(run.key)
            yield

    async def _perform(self, run: Run, turn: AbstractAsyncContextManager[None]) -> ContractError | None:
        """The boundary: only the agent's own end stops it otherwise."""
        try:
            run.accepted()
            await run.perform(self._stages, turn)
        except ContractError as exc:
            return exc
        except Exception:
            logger.exception("the run failed")
            return internal()
        return None
