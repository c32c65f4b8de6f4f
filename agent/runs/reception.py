"""Where a request comes in once it is whole: it is begun, joined to its run, or answered as before."""

from __future__ import annotations

from collections.abc import Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.reply import Reply
from agent.contract.terms import Status
from agent.errors import Expired, StorageError
from agent.journal.entries import Admitted, RunKey
from agent.journal.journal import Journal
from agent.mqtt.message import Message
from agent.operations import cancel
from agent.pipeline.admission import Admission
from agent.pipeline.hearing import Live
from agent.pipeline.run import Run
from agent.replies.replays import Replays
from agent.replies.replies import Replies
from agent.runs.runs import Runs


class Reception:
    """Tells what is new from what is known."""

    def __init__(
        self,
        *,
        journal: Journal,
        admission: Admission,
        runs: Runs,
        replies: Replies,
        ack: Callable[[Message], None],
    ) -> None:
        """`ack` is told of the messages that need no run of their own."""
        self._journal = journal
        self._admission = admission
        self._runs = runs
        self._replies = replies
        self._replays = Replays(replies)
        self._ack = ack

    def check(self) -> None:
        """ContractError where nothing new can be taken on just now."""
        self._replies.check_clear()
        self._journal.check()

    def knows(self, key: RunKey) -> bool:
        """Whether that request was taken on before."""
        try:
            return bool(self._admission.find(key) or self._journal.answered(key))
        except StorageError:
            return False

    def take_on(
        self,
        admitted: Admitted,
        message: Message | None,
        *,
        again: Callable[[], None],
        named: bool = True,
        late: bool = False,
        live: Live | None = None,
    ) -> bool:
        """Whether a run began, and has `live`; ContractError where it is not taken on, else `message` is acknowledged.

        `again` is called once that can be told, where it cannot be yet. `message` None: nothing is to be acknowledged.
        `named`: by the caller; else nobody can have asked it before. `late`: its time has passed.
        """
        key, again_by_broker = admitted.key, message is not None and message.redelivered
        if run := self._admission.find(key):
            _check_same(admitted, run.admitted.digest)
            if run.is_cancelled and not again_by_broker:
                self._runs.after(run, again)
            else:
                self._runs.join(run, admitted.reply_to, message)
            return False
        if named and (answered := self._journal.answered(key)):
            _check_same(admitted, answered.digest)
            reply = Reply.decode(answered.reply)
            # Whoever asks again has changed his mind; a broker that delivers again has only forgotten.
            if reply.status is not Status.CANCELLED or again_by_broker:
                self._replays.send(key, admitted.reply_to, reply)
                if message:
                    self._ack(message)
                return False
        elif late:
            raise Expired(0)
        self._replies.check_clear()
        # A clip that came in pieces did so at its start: whatever was asked since is newer.
        barged = [] if live else self._in_its_way(key, admitted.request)
        self._runs.begin(admitted, message, live=live, instead_of=barged)
        for run in barged:
            run.cancel("barge_in")
        return True

    def barge_in(self, key: RunKey, request: Request) -> None:
        """Stops what else of the conversation waits or runs, where `request` wants that."""
        for run in self._in_its_way(key, request):
            run.cancel("barge_in")

    def _in_its_way(self, key: RunKey, request: Request) -> list[Run]:
        return cancel.of_conversation(key, request.session_id, self._admission) if request.barge_in else []


def _check_same(admitted: Admitted, digest: bytes) -> None:
    if admitted.digest != digest:
        raise ContractError(ErrorCode.CONFLICT, f"id {admitted.key.id} was used for another request", field="id")
