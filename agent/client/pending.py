"""A request on its way: sent again, by its id, until its reply is heard."""

from __future__ import annotations

import asyncio
import random
from asyncio import Future
from collections.abc import Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import Reply
from agent.contract.terms import Status
from agent.mqtt.message import Delivery, Message, PacketTooLarge, Publication

FIRST_PAUSE_S = 3.0
LONGEST_PAUSE_S = 30.0
_JITTER = (0.75, 1.25)


class Pending:
    """One request, for all who await its reply. Its copies are the same bytes, so they are one request to the agent."""

    def __init__(
        self,
        publication: Publication,
        *,
        publish: Callable[[Publication], Future[Delivery]],
        judge: Callable[[Delivery], ContractError | None],
        repeatable: bool = True,
    ) -> None:
        """`judge` says what the broker's word on the first copy means; `repeatable` False is never sent again."""
        self.publication = publication
        self.callers = 0
        self.refusal: Reply | None = None
        """What the agent said of a copy that it could not look at just then: the outcome, where no better one comes."""
        self._publish = publish
        self._judge = judge
        self._repeatable = repeatable
        self._loop = asyncio.get_running_loop()
        self.reply: Future[Reply] = self._loop.create_future()
        self._delivery: Future[Delivery]
        self._copies = 0
        self._pause_s = FIRST_PAUSE_S
        self._timer: asyncio.TimerHandle | None = None

    def send(self) -> None:
        """The first copy. Raises ContractError(payload_too_large)."""
        self._send()
        if self._repeatable:
            self._wait(self._pause_s)

    def again(self) -> None:
        """One more copy, unless the last one has not reached the broker yet: that one comes by itself."""
        if not self._repeatable or self.reply.done() or not self._delivery.done():
            return
        try:
            self._send()
        except ContractError as exc:  # the broker came back with a smaller limit
            self.reply.set_exception(exc)

    def send_no_more(self) -> None:
        """Whoever waits still hears the reply to what was sent."""
        self._repeatable = False
        if self._timer:
            self._timer.cancel()

    def hear(self, message: Message) -> None:
        """Takes what arrived on the reply topic, if it is the reply."""
        # Of two requests of one id the agent answers one with a conflict: on this topic too, but with the other's mark.
        mark = message.correlation_data
        if self.reply.done() or mark not in (None, self.publication.correlation_data):
            return
        reply = Reply.decode(message.payload)
        if _answers_a_cancel(reply):
            return
        if self._copies > 1 and _puts_off(reply):
            self.refusal = reply  # of a copy: the request itself was taken on before, and has another outcome
            return
        self.reply.set_result(reply)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer:
            self._timer.cancel()
        if not self.reply.cancel() and not self.reply.cancelled():
            self.reply.exception()  # else the event loop would tell of one that nobody saw

    def _send(self) -> None:
        try:
            self._delivery = self._publish(self.publication)
        except PacketTooLarge as exc:
            raise ContractError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"the request is too large: {exc}", limit=exc.limit, actual=exc.size
            ) from exc
        self._copies += 1
        if self._copies == 1:
            self._delivery.add_done_callback(self._delivered)

    def _delivered(self, outcome: Future[Delivery]) -> None:
        if outcome.cancelled() or self.reply.done():
            return
        if error := self._judge(outcome.result()):
            self.reply.set_exception(error)

    def _wait(self, pause_s: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(pause_s * random.uniform(*_JITTER), self._on_time)  # noqa: S311 - guards nothing

    def _on_time(self) -> None:
        self.again()
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._wait(self._pause_s)


def ends_a_cancel(reply: Reply) -> bool:
    """Whether `reply` is what comes of a cancel."""
    return reply.status is Status.CANCELLED or _answers_a_cancel(reply)


def _answers_a_cancel(reply: Reply) -> bool:
    """Whether `reply` says that there was nothing to cancel: no answer to a request that is asked again meanwhile."""
    return bool(reply.error and reply.error.code is ErrorCode.NOT_FOUND and reply.error.field == "id")


def _puts_off(reply: Reply) -> bool:
    """Whether `reply` says nothing but that now is a bad time to ask."""
    error = reply.error
    return error is not None and (error.code is ErrorCode.BUSY or error.reason in {"loading", "storage_unavailable"})
