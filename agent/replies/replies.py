"""What goes back to callers: events and terminal replies, within what the broker takes."""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Iterable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.contract.topics import Topics
from agent.contract.wire import WireModel
from agent.errors import Busy
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, PacketTooLarge, Publication
from agent.replies.listener import Listener

logger = logging.getLogger(__name__)

_JSON = "application/json"
_CLOGGED_AT_BYTES = 32_000_000
_CLOGGED_RETRY_MS = 1_000
_ENDS = {ErrorCode.CANCELLED: Status.CANCELLED, ErrorCode.EXPIRED: Status.EXPIRED}
_OURS = frozenset(
    {ErrorCode.STT_FAILED, ErrorCode.LLM_FAILED, ErrorCode.TTS_FAILED, ErrorCode.INTERNAL, ErrorCode.MODEL_NOT_READY}
)
"""Errors that the operator wants to know of; what is wrong with a request is its sender's concern."""


class Replies:
    """The way back."""

    def __init__(
        self, topics: Topics, mqtt: MqttClient, *, on_refusal: Callable[[ErrorCode], None] = lambda _: None
    ) -> None:
        """`on_refusal` is told of each message that is not taken on."""
        self._topics = topics
        self._mqtt = mqtt
        self._on_refusal = on_refusal

    def check_clear(self) -> None:
        """Busy where so much waits for the broker already that nothing should be added but what was promised."""
        if self._mqtt.outbox_bytes > _CLOGGED_AT_BYTES:
            message = "the broker does not take the replies as fast as they are made"
            raise Busy(message, retry_after_ms=_CLOGGED_RETRY_MS, limit=_CLOGGED_AT_BYTES)

    def send(self, reply: bytes, to: ReplyTo) -> Future[Delivery] | None:
        """Publishes an encoded reply; the future is done once the broker has it. None where it never will."""
        try:
            delivery = self._mqtt.publish(_publication(reply, to))
        except PacketTooLarge as exc:
            logger.error("the reply on %s cannot be sent: %s", to.topic, exc)  # noqa: TRY400 - all is said
            return None
        delivery.add_done_callback(lambda outcome: _watch(outcome, to))
        return delivery

    def refuse(self, key: RunKey, to: ReplyTo, error: ContractError) -> None:
        """Answers a message that is not taken on."""
        status = _ENDS.get(error.code, Status.ERROR)
        reply = Reply(id=key.id, status=status, error=ErrorBody.of(error), agent=self._topics.agent)
        self.send(reply.encode(), to)
        self._on_refusal(error.code)
        log_outcome(error, f"refused {key}")

    def answer(self, key: RunKey, to: ReplyTo, *results: WireModel) -> None:
        """Answers a call with the first of `results` that the broker takes; where it takes none, says so."""
        reply = Reply(id=key.id, status=Status.OK, agent=self._topics.agent)
        for result in results:
            reply = reply.model_copy(update={"result": result.model_dump(mode="json", exclude_none=True)})
            if self._fits(encoded := reply.encode(), to):
                self.send(encoded, to)
                return
        self.send(self.fitting(reply, [to]), to)

    def fitting(self, reply: Reply, to: Iterable[ReplyTo]) -> bytes:
        """`reply` encoded: whole, without its speech, or just that it was too large, as the broker takes it."""
        error = ErrorBody.of(ContractError(ErrorCode.REPLY_TOO_LARGE, "the reply is larger than the broker takes"))
        silent = reply.model_copy(update={"status": Status.ERROR, "audio": None, "error": error})
        least = Reply(id=reply.id, status=Status.ERROR, error=error, agent=reply.agent)
        for candidate in (reply, silent):
            encoded = candidate.encode()
            if all(self._fits(encoded, each) for each in to):
                return encoded
        return least.encode()

    def listener(self, request: Request, to: ReplyTo) -> Listener:
        """Who hears of the run of `request` while it goes on."""
        return Listener(self._mqtt, self._topics, to.topic, request.stream)

    def _fits(self, reply: bytes, to: ReplyTo) -> bool:
        return self._mqtt.fits(_publication(reply, to))


def log_outcome(error: ContractError, what: str) -> None:
    """One line on a request that was not answered as asked; what it said is for DEBUG only."""
    if error.code in _OURS:
        logger.warning("%s: %s, %s", what, error.code.value, error.message)
    else:
        logger.info("%s: %s", what, error.code.value)
        logger.debug("%s", error.message)


def _watch(outcome: Future[Delivery], to: ReplyTo) -> None:
    if not outcome.cancelled() and outcome.result() is Delivery.REFUSED:
        logger.warning("the broker refused the reply on %s; see its ACL", to.topic)


def _publication(reply: bytes, to: ReplyTo) -> Publication:
    return Publication(to.topic, reply, content_type=_JSON, correlation_data=to.correlation_data)
