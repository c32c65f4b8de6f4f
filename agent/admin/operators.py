"""The agent's end of its operators' topics: who may ask is checked, what is asked is done beside the requests."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import AdminOperation
from agent.contract.topics import Topics
from agent.contract.wire import WireModel
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.message import Message
from agent.replies.addressing import address_reply, check_owned, salvage
from agent.replies.calls import Calls
from agent.replies.replies import Replies

logger = logging.getLogger(__name__)

Action = Callable[[AdminRequest], Awaitable[WireModel]]
"""Does what an operator asks, and says what came of it. Raises ContractError."""

_MAX_BYTES = 256_000
"""A template, and room to write it as one likes [bytes]."""
_MAX_AT_ONCE = 16


class Operators:
    """Answers operators. Their calls are not written down: each may be asked again."""

    def __init__(
        self,
        topics: Topics,
        operators: tuple[str, ...],
        actions: Mapping[AdminOperation, Action],
        *,
        replies: Replies,
        ack: Callable[[Message], None],
    ) -> None:
        self._topics = topics
        self._operators = operators
        self._actions = actions
        self._replies = replies
        self._ack = ack
        self._calls = Calls(replies, most=_MAX_AT_ONCE)

    def handle(self, message: Message, client: str) -> None:
        """Takes the call of `client` on, or refuses it; either way its message never comes again."""
        self._ack(message)
        found: Mapping[str, str | None] = salvage(message.payload)
        try:
            operation, asked = self._read(message, client)
        except ContractError as exc:
            key, to = self._reply_to(message, client, found)
            self._replies.refuse(key, to, exc)
            return
        key, to = self._reply_to(message, client, {"id": asked.id, "reply_to": asked.reply_to})
        logger.info("%s asks for %s", key, operation.value)
        self._calls.answer(key, to, partial(self._actions[operation], asked), name=operation.value)

    async def close(self) -> None:
        """Leaves what is going on."""
        await self._calls.close()

    def _read(self, message: Message, client: str) -> tuple[AdminOperation, AdminRequest]:
        if client not in self._operators:
            raise ContractError(ErrorCode.FORBIDDEN, f"{client} is no operator of this agent")
        if len(message.payload) > _MAX_BYTES:
            text = f"the message has {len(message.payload)} bytes; {_MAX_BYTES} are the most"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, text, limit=_MAX_BYTES, actual=len(message.payload))
        self._calls.check()
        operation = self._topics.parse_admin(message.topic)
        asked = AdminRequest.decode(message.payload) if message.payload.strip() else AdminRequest()
        check_owned(self._topics, client, asked.reply_to or message.response_topic)
        return operation, asked

    def _reply_to(self, message: Message, client: str, found: Mapping[str, str | None]) -> tuple[RunKey, ReplyTo]:
        request_id, to = address_reply(self._topics, message, client, found)
        return RunKey(client, request_id), to
