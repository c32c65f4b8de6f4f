"""What goes back to callers: events and terminal replies, within what the broker takes."""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Iterable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event
from agent.contract.messages import Request
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from agent.contract.topics import Topics
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, PacketTooLarge, Publication

logger = logging.getLogger(__name__)

_JSON = "application/json"
_OURS = frozenset(
    {ErrorCode.STT_FAILED, ErrorCode.LLM_FAILED, ErrorCode.TTS_FAILED, ErrorCode.INTERNAL, ErrorCode.MODEL_NOT_READY}
)
"""Errors that the operator wants to know of; what is wrong with a request is its sender's concern."""


class Replies:
    """The way back."""

    def __init__(self, topics: Topics, mqtt: MqttClient) -> None:
        self._topics = topics
        self._mqtt = mqtt

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
        reply = Reply(id=key.id, status=Status.ERROR, error=ErrorBody.of(error), agent=self._topics.agent)
        self.send(reply.encode(), to)
        log_outcome(error, f"refused {key}")

    def fitting(self, reply: Reply, to: Iterable[ReplyTo]) -> bytes:
        """`reply` encoded: whole, without its speech, or just that it was too large, as the broker takes it."""
        error = ErrorBody.of(ContractError(ErrorCode.REPLY_TOO_LARGE, "the reply is larger than the broker takes"))
        silent = reply.model_copy(update={"status": Status.ERROR, "audio": None, "error": error})
        least = Reply(id=reply.id, status=Status.ERROR, error=error, agent=reply.agent)
        for candidate in (reply, silent):
            encoded = candidate.encode()
            if all(self._mqtt.fits(_publication(encoded, each)) for each in to):
                return encoded
        return least.encode()

    def emitter(self, request: Request, to: ReplyTo) -> Callable[[Event], None] | None:
        """Where the events of a run go; None where nobody asked for them."""
        if not (request.stream and request.stream.text):
            return None
        topic = self._topics.event(to.topic)
        return lambda event: self._emit(topic, event)

    def _emit(self, topic: str, event: Event) -> None:
        self._mqtt.publish(Publication(topic, event.encode(), content_type=_JSON))


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
