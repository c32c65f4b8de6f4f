"""What comes of a clip: it is handed on as a request, or refused; once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.contract.errors import ContractError
from agent.errors import internal
from agent.journal.entries import Admitted
from agent.logs import current_run
from agent.mqtt.message import Message
from agent.replies.replies import Replies
from agent.runs.reception import Reception
from agent.uploads.upload import Upload

logger = logging.getLogger(__name__)


class Outcomes:
    """Sees clips through."""

    def __init__(self, reception: Reception, replies: Replies, ack: Callable[[Message], None]) -> None:
        """`ack` is told of the messages that made clips whole which are refused."""
        self._reception = reception
        self._replies = replies
        self._ack = ack

    async def see_through(self, upload: Upload) -> None:
        """The boundary: whatever goes wrong becomes the reply; only the agent's own end stops it otherwise."""
        current_run.set(str(upload.key))
        try:
            admitted = await upload.admitted()
        except ContractError as exc:
            self._refuse(upload, exc)
        except Exception:
            logger.exception("the clip was not put together")
            self._refuse(upload, internal())
        else:
            self._hand_on(upload, admitted)

    def _hand_on(self, upload: Upload, admitted: Admitted) -> None:
        """From now on it is a request like any other."""
        live = upload.live()
        begun = False
        try:
            begun = self._reception.take_on(
                admitted, upload.last, again=lambda: self._hand_on(upload, admitted), live=live
            )
        except ContractError as exc:
            self._refuse(upload, exc)
        finally:
            if not begun:
                live.close()

    def _refuse(self, upload: Upload, error: ContractError) -> None:
        self._replies.refuse(upload.key, upload.to, error)
        if upload.last:
            self._ack(upload.last)
