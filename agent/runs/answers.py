"""The one outcome of a run: put in words, written down, then published."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.contract.errors import ContractError
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.errors import StorageError, internal
from agent.journal.entries import Admitted, SessionKey, Turn
from agent.journal.journal import Journal
from agent.pipeline.run import Run
from agent.replies.deliveries import Deliveries
from agent.replies.replies import Replies, log_outcome

logger = logging.getLogger(__name__)

OnEnd = Callable[[Admitted, Reply], None]
"""Is told of a request that has its outcome, and of the terminal reply."""


class Answers:
    """Gives each run its terminal reply."""

    def __init__(self, *, agent: str, journal: Journal, replies: Replies, on_end: OnEnd) -> None:
        self._agent = agent
        self._journal = journal
        self._replies = replies
        self._on_end = on_end
        self._deliveries = Deliveries(journal, replies)

    async def give(self, run: Run, error: ContractError | None) -> None:
        """What came of `run`, or the `error` it ended with, goes wherever its reply is wanted."""
        reply = self._reply(run, error)
        encoded = self._replies.fitting(reply, run.reply_to)
        try:
            await self._journal.answer(run.admitted, encoded, said=_said(run, reply))
        except StorageError:
            logger.warning("the reply goes out unrecorded")  # an answer at hand is worth more than its record
        self._deliveries.send(run.key, encoded, run.reply_to)
        self._on_end(run.admitted, reply)
        if error:
            log_outcome(error, "not answered")
        elif reply.engines and reply.timings_ms:
            engines = reply.engines.model_dump(exclude_none=True).values()
            logger.info("answered in %s ms by %s", reply.timings_ms.total, ", ".join(engines))

    def refuse(self, run: Run, error: ContractError) -> None:
        """Says that `run`, which is not written down, is not taken on after all."""
        for to in run.reply_to:
            self._replies.refuse(run.key, to, error)

    def resume(self) -> None:
        """Sends what an earlier process wrote down and did not send; once is enough. StorageError."""
        self._deliveries.resume()

    async def close(self) -> None:
        """Leaves what is still to be sent to the next start."""
        await self._deliveries.close()

    def _reply(self, run: Run, error: ContractError | None) -> Reply:
        try:
            return run.reply(self._agent, error)
        except Exception:  # what an engine said of itself cannot be put in words
            logger.exception("the reply was not made")
            return Reply(id=run.key.id, status=Status.ERROR, error=ErrorBody.of(internal()), agent=self._agent)


def _said(run: Run, reply: Reply) -> tuple[SessionKey, Turn] | None:
    """What the conversation of `run` is to remember of it."""
    if run.memory is None or run.memory.forgets:
        return None
    turn = run.said(reply)
    return (run.memory.key, turn) if turn else None
