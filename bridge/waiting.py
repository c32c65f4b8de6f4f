"""The requests that callers wait for: how many there may be, and what becomes of one whose caller hangs up."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.types import Receive

from agent.client import AudioChunk, NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event
from agent.contract.lookup import Found
from agent.contract.messages import Request
from agent.contract.reply import Reply
from agent.contract.terms import Operation, RunState
from bridge.agent import Agent
from bridge.errors import stopping
from bridge.workers.roll import Key, Roll

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_LOOK_AGAIN_S = 0.25

Part = Event | AudioChunk | Reply
"""What is heard of a run while it goes on."""


class Waiting:
    """This worker's callers, each known by what it waits for; also those that did not want to wait themselves."""

    def __init__(self, agent: Agent, *, max_waiting: int, roll: Roll) -> None:
        self._agent = agent
        self._max_waiting = max_waiting
        self._roll = roll
        self._callers: Counter[Key] = Counter()
        self._unattended: set[asyncio.Task[Reply]] = set()

    @property
    def callers(self) -> int:
        """How many there are."""
        return self._callers.total()

    async def ask(
        self, request: Request, key: Key, receive: Receive, *, operation: Operation = Operation.CHAT
    ) -> Reply:
        """The agent's reply; a caller that hangs up stops its run, unless another one, here or elsewhere, waits for it.

        Who begins to wait elsewhere in that very moment may be told `cancelled`; asked again, it is begun anew.
        Raises ContractError: busy where too many wait already or the bridge stops, cancelled for who is not there any
        more.
        """
        with self._place(key):
            reply = self._agent.ask(request, operation=operation, client=key.client)
            asking = asyncio.create_task(reply, name=f"ask[{key.id}]")
            hanging_up = asyncio.create_task(_hangs_up(receive), name=f"hang up[{key.id}]")
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
        self.abandon(key)
        raise _hung_up()

    async def stream(
        self,
        request: Request,
        key: Key,
        receive: Receive,
        *,
        silence_s: float,
        operation: Operation = Operation.CHAT,
    ) -> AsyncGenerator[Part | None, None]:
        """What is heard of the run, its Reply last, and None whenever nothing was for so long.

        A caller that hangs up is treated, and the same is raised, as in `ask`; closed early, the run goes on.
        """
        with self._place(key):
            parts = self._agent.stream(request, operation=operation, client=key.client, cancels=False)
            hanging_up = asyncio.create_task(_hangs_up(receive), name=f"hang up[{key.id}]")
            coming: asyncio.Future[Part] = asyncio.ensure_future(anext(parts))
            try:
                while not hanging_up.done() or coming.done():
                    if coming.done():
                        part = coming.result()
                        yield part
                        if isinstance(part, Reply):
                            return
                        coming = asyncio.ensure_future(anext(parts))
                    either: set[asyncio.Future[Any]] = {coming, hanging_up}
                    done, _ = await asyncio.wait(either, timeout=silence_s, return_when=asyncio.FIRST_COMPLETED)
                    if not done:
                        yield None
            except asyncio.CancelledError as exc:
                raise stopping() from exc  # as in `ask`
            finally:
                coming.cancel()
                hanging_up.cancel()
                await asyncio.gather(coming, hanging_up, return_exceptions=True)
                await parts.aclose()
        self.abandon(key)
        raise _hung_up()

    def abandon(self, key: Key) -> None:
        """Stops the run of a caller that waits no more, unless another one waits for it, here or elsewhere."""
        if not self._callers[key] and not self._roll.elsewhere(key):
            self._agent.cancel(key.id, client=key.client)

    async def begin(self, request: Request, key: Key) -> Found:
        """Where `request` is on its way, once the agent has it. It is asked for until its deadline, whoever hangs up.

        Raises ContractError or NoReply where the agent has not got it.
        """
        sent = asyncio.Event()
        asking = asyncio.create_task(self._ask_unattended(request, key, sent), name=f"ask[{key.id}]")
        self._unattended.add(asking)
        asking.add_done_callback(self._attend)
        try:
            await _either(asking, sent.wait())
            while not asking.done():
                if found := await _either(asking, self._find(key)):
                    return found
            return Found(state=RunState.DONE, reply=asking.result())
        except asyncio.CancelledError as exc:
            raise stopping() from exc

    async def close(self) -> None:
        """Nobody is waited for any more; what the agent has goes on there."""
        for task in self._unattended:
            task.cancel()
        await asyncio.gather(*self._unattended, return_exceptions=True)

    async def _ask_unattended(self, request: Request, key: Key, sent: asyncio.Event) -> Reply:
        with self._place(key):
            return await self._agent.ask(request, client=key.client, sent=sent.set)

    async def _find(self, key: Key) -> Found | None:
        """Where it is; None, a moment later, where the agent does not know or say it yet."""
        try:
            found = await self._agent.lookup(key.id, client=key.client)
        except (ContractError, NoReply):
            found = None
        if not found:
            await asyncio.sleep(_LOOK_AGAIN_S)
        return found

    def _attend(self, asking: asyncio.Task[Reply]) -> None:
        self._unattended.discard(asking)
        if not asking.cancelled() and (exc := asking.exception()):
            logger.info("%s: %s", asking.get_name(), exc)

    @contextmanager
    def _place(self, key: Key) -> Iterator[None]:
        if self.callers >= self._max_waiting:
            message = f"{self._max_waiting} callers wait for the agent already"
            raise ContractError(ErrorCode.BUSY, message, retry_after_ms=1_000, limit=self._max_waiting)
        self._callers[key] += 1
        self._roll.add(key)
        try:
            yield
        finally:
            self._roll.remove(key)
            self._callers[key] -= 1
            if not self._callers[key]:
                del self._callers[key]


async def _either(task: asyncio.Task[Reply], other: Coroutine[Any, Any, _T]) -> _T | None:
    """What `other` gives; None where `task` is done before that."""
    second = asyncio.ensure_future(other)
    try:
        await asyncio.wait({task, second}, return_when=asyncio.FIRST_COMPLETED)
        return second.result() if second.done() and not task.done() else None
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


def _hung_up() -> ContractError:
    return ContractError(ErrorCode.CANCELLED, "the caller hung up", reason="hung_up")


async def _hangs_up(receive: Receive) -> None:
    """Returns once the caller is not there any more; its body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
