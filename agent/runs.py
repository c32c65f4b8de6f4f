"""The runs at hand: written down, performed, answered once; whatever goes wrong in one becomes its reply."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import Future
from collections.abc import Callable, Coroutine
from typing import Any

from agent.contract.errors import ContractError
from agent.contract.events import EventType
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.errors import Busy, StorageError, internal
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.journal.journal import Journal
from agent.logs import current_run
from agent.mqtt.message import Delivery, Message
from agent.operations import PLANS
from agent.pipeline.admission import Admission
from agent.pipeline.run import Run
from agent.pipeline.stages import Stages
from agent.replies import Replies, log_outcome

logger = logging.getLogger(__name__)

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
        replies: Replies,
        ack: Callable[[Message], None],
        on_change: Callable[[], None],
    ) -> None:
        """`ack` is told of each message once a crash cannot lose it; `on_change` when a run begins or ends."""
        self._agent = agent
        self._admission = admission
        self._journal = journal
        self._stages = stages
        self._replies = replies
        self._ack = ack
        self._on_change = on_change
        self._unwritten: dict[RunKey, list[Message]] = {}
        """Messages whose run is not in the journal yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, admitted: Admitted, message: Message) -> None:
        """Takes a request on. ContractError: it cannot be done, or there is no room."""
        run = self._run(admitted)
        self._admission.admit(run)
        self._unwritten[run.key] = [message]
        self._start(self._see_through(run), run)

    def join(self, run: Run, to: ReplyTo, message: Message) -> None:
        """The same request once more: it waits for the same reply. Busy where it would go to too many topics."""
        if len(run.reply_to | {to}) > _MAX_REPLY_TOPICS:
            raise Busy(f"{run.key} has its reply sent to enough topics", retry_after_ms=1_000, limit=_MAX_REPLY_TOPICS)
        run.reply_to.add(to)
        if run.key in self._unwritten:
            self._unwritten[run.key].append(message)
        else:
            self._ack(message)

    def resume(self) -> None:
        """Takes up what an earlier process left: sends its unsent replies, runs what has none. StorageError."""
        for key, to, reply in self._journal.undelivered():
            self._send(key, reply, {to})
        for admitted in self._journal.unanswered():
            logger.info("resuming %s", admitted.key)
            run = self._run(admitted, age_s=max(0.0, time.time() - admitted.arrived_at))
            self._admission.admit(run, exempt=True)
            self._start(self._see_through(run, written=True), run)

    async def finish(self, grace_s: float) -> None:
        """Waits up to `grace_s` for the runs at hand, then leaves the rest to the journal."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, admitted: Admitted, *, age_s: float = 0.0) -> Run:
        plan = PLANS[admitted.operation](admitted.request, admitted.clip)
        emit = self._replies.emitter(admitted.request, admitted.reply_to)
        return Run(admitted, plan, emit, age_s=age_s)

    def _start(self, work: Coroutine[Any, Any, None], run: Run) -> None:
        task = asyncio.create_task(work, name=f"run[{run.key}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, run: Run, *, written: bool = False) -> None:
        current_run.set(str(run.key))
        try:
            error = None if written else await self._write_down(run)
            self._on_change()
            await self._answer(run, error or await self._perform(run))
        finally:
            self._admission.release(run)
            self._on_change()

    async def _write_down(self, run: Run) -> ContractError | None:
        """Journal first, then the acknowledgement."""
        error: ContractError | None = None
        try:
            await self._journal.admit(run.admitted)
        except StorageError as exc:
            error = exc
        for message in self._unwritten.pop(run.key):
            self._ack(message)
        return error

    async def _perform(self, run: Run) -> ContractError | None:
        """The boundary: only the agent's own end stops it otherwise."""
        try:
            run.tell(EventType.ACCEPTED)
            await run.perform(self._stages, self._admission.turn())
        except ContractError as exc:
            return exc
        except Exception:
            logger.exception("the run failed")
            return internal()
        return None

    async def _answer(self, run: Run, error: ContractError | None) -> None:
        """The reply is written down, then published."""
        reply = self._reply(run, error)
        encoded = self._replies.fitting(reply, run.reply_to)
        try:
            await self._journal.answer(run.key, encoded)
        except StorageError:
            logger.warning("the reply goes out unrecorded")  # an answer at hand is worth more than its record
        self._send(run.key, encoded, run.reply_to)
        if error:
            log_outcome(error, "not answered")
        elif reply.engines and reply.timings_ms:
            engines = reply.engines.model_dump(exclude_none=True).values()
            logger.info("answered in %s ms by %s", reply.timings_ms.total, ", ".join(engines))

    def _reply(self, run: Run, error: ContractError | None) -> Reply:
        try:
            return run.reply(self._agent, error)
        except Exception:  # what an engine said of itself cannot be put in words
            logger.exception("the reply was not made")
            return Reply(id=run.key.id, status=Status.ERROR, error=ErrorBody.of(internal()), agent=self._agent)

    def _send(self, key: RunKey, reply: bytes, to: set[ReplyTo]) -> None:
        def delivered(outcome: Future[Delivery]) -> None:
            if not outcome.cancelled():
                self._journal.delivered(key)

        for each in to:
            if outcome := self._replies.send(reply, each):
                outcome.add_done_callback(delivered)
            else:
                self._journal.delivered(key)  # it never can be
