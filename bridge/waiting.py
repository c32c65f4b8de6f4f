"""The callers that wait for the agent: how many there may be, and what becomes of one who hangs up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.reply import Reply
from bridge.agent import Agent
from bridge.errors import stopping


class Waiting:
    """The bridge's callers, each known by the id it waits for."""

    def __init__(self, agent: Agent, *, max_waiting: int) -> None:
        self._agent = agent
        self._max_waiting = max_waiting
        self._callers: Counter[str] = Counter()

    async def ask(self, request: Request, request_id: str, receive: Receive) -> Reply:
        """The agent's reply; a caller that hangs up stops its run, unless another one waits for the same.

        Raises ContractError: busy where too many wait already or the bridge stops, cancelled for who is not there any
        more.
        """
        with self._place(request_id):
            asking = asyncio.create_task(self._agent.ask(request), name=f"ask[{request_id}]")
            hanging_up = asyncio.create_task(_hangs_up(receive), name=f"hang up[{request_id}]")
            try:
                await asyncio.wait({asking, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    return asking.result()
            except asyncio.CancelledError as exc:
                raise stopping() from exc  # its run goes on: the same id asked again has its answer
            finally:
                asking.cancel()
                hanging_up.cancel()
                await asyncio.gather(asking, hanging_up, return_exceptions=True)
            if self._callers[request_id] == 1:
                self._agent.cancel(request_id)
            raise ContractError(ErrorCode.CANCELLED, "the caller hung up", reason="hung_up")

    @contextmanager
    def _place(self, request_id: str) -> Iterator[None]:
        if self._callers.total() >= self._max_waiting:
            message = f"{self._max_waiting} callers wait for the agent already"
            raise ContractError(ErrorCode.BUSY, message, retry_after_ms=1_000, limit=self._max_waiting)
        self._callers[request_id] += 1
        try:
            yield
        finally:
            self._callers[request_id] -= 1
            if not self._callers[request_id]:
                del self._callers[request_id]


async def _hangs_up(receive: Receive) -> None:
    """Returns once the caller is not there any more; its body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
