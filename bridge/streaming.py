"""Answers that are told while the run goes on, in whichever form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from fastapi import Response
from starlette.types import Message, Receive, Scope, Send

from agent.client import AudioChunk, NoReply
from agent.contract.errors import ContractError
from agent.contract.events import Event
from agent.contract.messages import Request
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Operation, Status
from bridge.errors import no_reply, stopping
from bridge.waiting import Part, Waiting
from bridge.workers.roll import Key

logger = logging.getLogger(__name__)

SILENCE_S = 15.0
"""After so long without anything to tell, whoever reads is told that."""
_SLOWEST_READ_S = 30.0


class Form(Protocol):
    """How a run is told."""

    media_type: str
    """What the answer is, once its first piece is there."""

    def whole(self, reply: Reply) -> Response | None:
        """The answer, where the reply comes before anything was told; None where it is told like the rest."""

    def tell(self, part: Event | AudioChunk | None) -> bytes:
        """The answer's next piece; None is told where nothing came for a while. ContractError where it goes wrong."""

    def end(self, reply: Reply) -> bytes | None:
        """The last piece; None where the answer breaks off, as the only way to say that it is not whole."""


class LiveAnswer(Response):
    """The answer to one request. Status and headers wait for the first piece: what fails before is a problem."""

    def __init__(
        self,
        form: Form,
        request: Request,
        key: Key,
        waiting: Waiting,
        *,
        agent: str,
        operation: Operation = Operation.CHAT,
    ) -> None:
        """`agent` is the name of who is asked."""
        super().__init__()
        self._form = form
        self._request = request
        self._key = key
        self._waiting = waiting
        self._agent = agent
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tells it. A caller that hangs up, or reads nothing for too long, stops the run."""
        caller = _Caller(send)
        try:
            parts = self._waiting.stream(
                self._request, self._key, receive, silence_s=SILENCE_S, operation=self._operation
            )
            async with aclosing(parts):
                whole = await self._tell(parts, caller)
        except _TooSlow:
            logger.info("%s: its caller does not read", self._key.id)
            self._waiting.abandon(self._key)
            return
        if whole:
            await whole(scope, receive, send)

    async def _tell(self, parts: AsyncGenerator[Part | None, None], caller: _Caller) -> Response | None:
        try:
            async for part in parts:
                if isinstance(part, Reply):
                    return await self._end(part, caller)
                if (part or caller.begun) and (told := self._form.tell(part)):
                    await caller.write(told, self._head)
        except asyncio.CancelledError as exc:
            if not caller.begun:
                raise stopping() from exc
            error = ErrorBody.of(stopping())
        except (ContractError, NoReply) as exc:
            if not caller.begun:
                raise
            error = no_reply() if isinstance(exc, NoReply) else ErrorBody.of(exc)
        return await self._end(Reply(id=self._key.id, status=Status.ERROR, error=error, agent=self._agent), caller)

    async def _end(self, reply: Reply, caller: _Caller) -> Response | None:
        if not caller.begun and (whole := self._form.whole(reply)):
            return whole
        last = self._form.end(reply)
        if last is None:
            logger.warning("%s breaks off: %s", self._key.id, reply.error.code.value if reply.error else reply.status)
        else:
            await caller.end(last, self._head)
        return None

    @property
    def _head(self) -> dict[str, str]:
        return {
            "Content-Type": self._form.media_type,
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # else nginx keeps it until it is whole
            "EdgeVoice-Id": self._key.id,
        }


class _TooSlow(Exception):
    """Whoever was to read the answer does not."""


class _Caller:
    """Who reads the answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        """Whether the head of the answer is out."""

    async def write(self, data: bytes, headers: dict[str, str]) -> None:
        """The next piece; before the first one the head. _TooSlow where it is not taken."""
        if not self.begun:
            self.begun = True
            raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await self._put({"type": "http.response.start", "status": 200, "headers": raw})
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes, headers: dict[str, str]) -> None:
        """The last piece."""
        await self.write(data, headers)
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put(self, message: Message) -> None:
        try:
            await asyncio.wait_for(self._send(message), _SLOWEST_READ_S)
        except asyncio.TimeoutError as exc:
            raise _TooSlow from exc
