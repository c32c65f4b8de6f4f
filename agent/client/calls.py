"""Calls that are answered as they come, and are no requests: what became of one, and what operators ask."""

from __future__ import annotations

import uuid

from agent.client.exchange import Exchange
from agent.client.names import Names
from agent.client.publications import in_json
from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.lookup import Found
from agent.contract.messages import Lookup
from agent.contract.reply import Reply
from agent.contract.sessions import SessionCall
from agent.contract.terms import AdminOperation, Operation
from agent.contract.topics import Topics

_TIMEOUT_S = 10.0


class Calls:
    """Those of one connection; each raises ContractError where it cannot be made, NoReply where nothing is heard."""

    def __init__(self, exchange: Exchange, names: Names, topics: Topics) -> None:
        self._exchange = exchange
        self._names = names
        self._topics = topics

    async def lookup(self, request_id: str, client: str | None) -> Found | None:
        """What became of a request; None where the agent does not know it."""
        client = await self._names.may_ask(client)
        call_id = uuid.uuid4().hex
        asked = in_json(self._topics.request(client, Operation.LOOKUP), Lookup(id=call_id, request_id=request_id))
        reply = await self._exchange.ask((client, call_id), asked, _TIMEOUT_S)
        if reply.error and reply.error.code is ErrorCode.NOT_FOUND:
            return None
        if reply.error:
            raise ContractError(**reply.error.model_dump())
        return Found.model_validate(reply.result, strict=False)

    async def converse(self, asked: SessionCall, client: str | None) -> Reply:
        """The reply to a call about conversations."""
        client = await self._names.may_ask(client)
        call = asked.model_copy(update={"id": asked.id or uuid.uuid4().hex})
        message = in_json(self._topics.request(client, Operation.SESSION), call)
        return await self._exchange.ask((client, str(call.id)), message, _TIMEOUT_S)

    async def administer(self, operation: AdminOperation, asked: AdminRequest, timeout_s: float) -> Reply:
        """The reply to an operator's call."""
        client = await self._names.may_ask(None)
        call = asked.model_copy(update={"id": asked.id or uuid.uuid4().hex})
        message = in_json(self._topics.admin(client, operation), call)
        return await self._exchange.ask((client, str(call.id)), message, timeout_s, repeatable=False)
