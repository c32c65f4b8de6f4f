"""Which conversation a request belongs to, and what was said in it before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from agent.contract.terms import Mode, Operation
from agent.errors import StorageError
from agent.journal.clock import Moment
from agent.journal.entries import Admitted, SessionKey
from agent.journal.sessions import Session, Sessions
from agent.pipeline.history import History, Memory

logger = logging.getLogger(__name__)


class Conversations:
    """What every caller's requests know of those before."""

    def __init__(self, sessions: Sessions, *, unnamed_idle_s: float, stands_for_many: Callable[[str], bool]) -> None:
        """`unnamed_idle_s`: so long after its last turn, that of requests that name none begins anew [s]; 0: no such.

        `stands_for_many`: whether a client does; of such, requests that name no conversation belong to none.
        """
        self._sessions = sessions
        self._unnamed_idle_s = unnamed_idle_s
        self._stands_for_many = stands_for_many

    def key(self, client: str, session_id: str | None) -> SessionKey | None:
        """The conversation that `client` means; the one of its own name where it names none."""
        if session_id is None and (not self._unnamed_idle_s or self._stands_for_many(client)):
            return None
        return SessionKey(client, session_id or client)

    def memory(self, admitted: Admitted) -> Memory | None:
        """Of the conversation that a request belongs to; None where it stands alone."""
        request = admitted.request
        if admitted.operation is not Operation.CHAT or request.mode is Mode.RAW or request.messages is not None:
            return None
        key = self.key(admitted.key.client, request.session_id)
        return Memory(key, partial(self._recall, key)) if key else None

    def _recall(self, key: SessionKey) -> History:
        """What was said, up to now; nothing, where the disk does not tell: an answer without it is better than none."""
        try:
            if not (session := self._sessions.find(key)):
                return History()
            if self._is_over(key, session):
                self._sessions.reset(key)
                return History(session.config)
            turns = self._sessions.turns(key)
        except StorageError as exc:
            logger.warning("nothing is known of the conversation: %s", exc.message)
            return History()
        return History(
            session.config,
            turns,
            session.summary or "",
            session.summarized,
            on_summary=partial(self._sessions.summarize, key),
        )

    def _is_over(self, key: SessionKey, session: Session) -> bool:
        """Whether it begins anew: who did not name it may not mean it any more."""
        return key.id == key.client and session.used.until(Moment.now()) > self._unnamed_idle_s
