"""Requests on their way and the replies to them, each for all who await it."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from agent.client.pending import Pending, ends_a_cancel
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import Reply
from agent.mqtt.message import Delivery, Message, Publication

Key = tuple[str, str]
"""A client, and the id of a request in its name: what makes it one request, and says where its reply is heard."""

Waiting = Callable[[float], Awaitable[Reply]]
"""The reply, awaited for so long [s]; NoReply where nothing is heard."""

_MOST_GIVEN_UP = 1_024


class NoReply(Exception):
    """Nothing was heard of a request, not even that it expired; its reply may still come."""

    def __init__(self, request_id: str, waited_s: float) -> None:
        super().__init__(f"no reply to {request_id} within {waited_s:g} s")
        self.id = request_id


class Exchange:
    """What is asked and not answered yet; one request a key."""

    def __init__(
        self,
        publish: Callable[[Publication], Future[Delivery]],
        *,
        judge: Callable[[str, Delivery], ContractError | None],
    ) -> None:
        """`judge` says what the broker's word on the first copy of a client's request means."""
        self._publish = publish
        self._judge = judge
        self._pending: dict[Key, Pending] = {}
        self._given_up: dict[Key, None] = {}
        """What is being cancelled, and nobody awaits, the earliest first."""

    @contextmanager
    def asking(self, key: Key, publication: Publication, *, repeatable: bool = True) -> Iterator[Waiting]:
        """Puts a request on its way, unless it is already, and has its reply waited for as long as this is open.

        ContractError: payload_too_large, or conflict.
        """
        pending = self._pending.get(key)
        if pending is None or pending.reply.done():  # who was answered is about to leave
            pending = self._send(key, publication, repeatable=repeatable)
        elif pending.publication.correlation_data != publication.correlation_data:
            raise ContractError(ErrorCode.CONFLICT, f"id {key[1]} is in use for another request", field="id")
        pending.callers += 1
        try:
            yield partial(_reply, key[1], pending)
        finally:
            pending.callers -= 1
            if not pending.callers:
                self._drop(key, pending)

    async def ask(self, key: Key, publication: Publication, wait_s: float, *, repeatable: bool = True) -> Reply:
        """The reply to a request; raises what `asking` does, and NoReply where nothing is heard within `wait_s`."""
        with self.asking(key, publication, repeatable=repeatable) as reply:
            return await reply(wait_s)

    def awaits(self, key: Key) -> bool:
        """Whether somebody waits for a reply to `key`."""
        return key in self._pending

    def hear(self, key: Key, message: Message) -> None:
        """Takes what arrived where the replies to `key` do."""
        if key in self._given_up and ends_a_cancel(Reply.decode(message.payload)):
            del self._given_up[key]
        elif pending := self._pending.get(key):
            pending.hear(message)

    def give_up(self, key: Key) -> None:
        """What was sent is being cancelled: a copy that came late would begin it anew.

        Whoever awaits it hears that it was; who asks the same afterwards does not take that for his own reply.
        """
        if pending := self._pending.get(key):
            pending.send_no_more()
            return
        self._given_up[key] = None
        if len(self._given_up) > _MOST_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def again(self) -> None:
        """One more copy of all that was not answered."""
        for pending in list(self._pending.values()):
            pending.again()

    def close(self) -> None:
        """Nobody waits any more."""
        for pending in self._pending.values():
            pending.close()

    def _send(self, key: Key, publication: Publication, *, repeatable: bool) -> Pending:
        pending = Pending(
            publication,
            publish=self._publish,
            judge=lambda delivery: self._judge(key[0], delivery),
            repeatable=repeatable,
        )
        pending.send()
        self._pending[key] = pending
        return pending

    def _drop(self, key: Key, pending: Pending) -> None:
        pending.close()
        if self._pending.get(key) is pending:
            del self._pending[key]


async def _reply(request_id: str, pending: Pending, wait_s: float) -> Reply:
    await asyncio.wait((pending.reply,), timeout=wait_s)
    if pending.reply.done():
        return pending.reply.result()
    if pending.refusal:
        return pending.refusal
    raise NoReply(request_id, wait_s)
