"""Earlier replies that are wanted again: each is on its way once at a time, whoever asks for it how often."""

from __future__ import annotations

import logging
from asyncio import Future

from agent.contract.reply import Reply
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.message import Delivery
from agent.replies.replies import Replies

logger = logging.getLogger(__name__)


class Replays:
    """Stored replies on their way again."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._on_their_way: dict[tuple[RunKey, ReplyTo], bool] = {}
        """Whether it was wanted again meanwhile: by who had it already, perhaps, before we knew that it arrived."""

    def send(self, key: RunKey, to: ReplyTo, reply: Reply) -> None:
        """Publishes `reply` again. Busy where too much waits for the broker already."""
        if (key, to) in self._on_their_way:
            self._on_their_way[key, to] = True
            return
        self._replies.check_clear()
        self._publish(key, to, self._replies.fitting(reply.model_copy(update={"replayed": True}), [to]))
        logger.info("replayed the reply to %s", key)

    def _publish(self, key: RunKey, to: ReplyTo, reply: bytes) -> None:
        def settled(outcome: Future[Delivery]) -> None:
            wanted_again = self._on_their_way.pop((key, to))
            if wanted_again and not outcome.cancelled():
                self._publish(key, to, reply)

        if delivery := self._replies.send(reply, to):
            self._on_their_way[key, to] = False
            delivery.add_done_callback(settled)
