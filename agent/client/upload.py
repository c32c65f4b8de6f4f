"""A clip that is sent while it is being recorded; its pieces are kept until the reply, should the agent miss some."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from typing_extensions import Self

from agent.client.exchange import Exchange, Key, NoReply, Waiting
from agent.client.listeners import AudioChunk, Listener
from agent.client.pending import FIRST_PAUSE_S, LONGEST_PAUSE_S
from agent.client.publications import in_json, marked
from agent.client.questions import wait_s
from agent.contract.errors import ContractError
from agent.contract.events import Event, EventType
from agent.contract.limits import DEFAULT_DEADLINE_MS, MAX_CHUNK_BYTES
from agent.contract.lookup import Found
from agent.contract.messages import UploadEnd, UploadStart
from agent.contract.reply import Reply
from agent.contract.terms import RunState, UploadStep
from agent.contract.topics import Topics, UploadPart
from agent.mqtt.message import Delivery, Publication

_LONGEST_S = 86_400.0
_MOST_UNCONFIRMED = 64


class Upload:
    """One clip on its way, as long as the context is open; left before its reply, it is cancelled.

    Broker and agent may be killed meanwhile: where the agent does not know the clip any more, it gets all of it again.
    What became of a clip that ended while we were away is looked up.
    """

    def __init__(
        self,
        start: UploadStart,
        key: Key,
        *,
        topics: Topics,
        publish: Callable[[Publication], Future[Delivery]],
        exchange: Exchange,
        lookup: Callable[[], Awaitable[Found | None]],
        cancel: Callable[[], None],
        listener: Listener | None = None,
    ) -> None:
        """`lookup` tells what the agent knows of it; `listener` hears of the run what it asked for in `start`."""
        self.key = key
        self._topics = topics
        self._publish = publish
        self._exchange = exchange
        self._lookup = lookup
        self._cancel = cancel
        self._listener = listener
        deadline_ms = start.deadline_ms or DEFAULT_DEADLINE_MS
        start = start.model_copy(update={"id": key[1], "deadline_ms": deadline_ms})
        self._start = marked(self._topic(UploadStep.START), start)
        self._wait_s = wait_s(deadline_ms)
        self._pieces: list[bytes] = []
        self._unconfirmed: deque[Future[Delivery]] = deque()
        self._ended = False
        self._asked = ExitStack()
        """That it is asked, and its reply waited for."""
        self._replying: asyncio.Task[Reply]
        self._found: Reply | None = None
        """The reply that was looked up."""

    async def __aenter__(self) -> Self:
        self._replying = asyncio.create_task(self._reply(self._ask()), name=f"upload[{self.key[1]}]")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        abandoned = not self.answered
        self._replying.cancel()
        self._asked.close()
        if abandoned:  # now that it is not awaited any more: who sends it next is to hear of no cancel
            self._cancel()
        await asyncio.gather(self._replying, return_exceptions=True)

    @property
    def answered(self) -> bool:
        """Whether the reply is there, or will never be: speech has ended, or something is wrong. No more is needed."""
        return self._found is not None or self._replying.done()

    async def send(self, data: bytes) -> None:
        """The clip goes on; waits where the broker does not take it as fast as it comes. Does nothing once answered."""
        for start in range(0, len(data), MAX_CHUNK_BYTES):
            if self.answered:
                return
            self._pieces.append(data[start : start + MAX_CHUNK_BYTES])
            self._unconfirmed.append(self._send_piece(len(self._pieces) - 1))
            if len(self._unconfirmed) > _MOST_UNCONFIRMED:
                await self._unconfirmed.popleft()

    async def end(self) -> Reply:
        """The terminal reply to the clip that was sent, whatever its status.

        Raises ContractError where it cannot be asked, NoReply where nothing is heard a second past its deadline, which
        counts from now.
        """
        if not self._ended and not self.answered:
            self._ended = True
            self._send_end()
        try:
            return await asyncio.wait_for(self._heard_of(), self._wait_s)
        except asyncio.TimeoutError as exc:
            raise NoReply(self.key[1], self._wait_s) from exc

    def hear(self, event: Event) -> None:
        """Sends again what is missing, and tells the listener of all else."""
        for number in event.missing or ():
            if number < len(self._pieces):
                self._send_piece(number)
        if self._listener and event.type is not EventType.NACK:
            self._listener.hear(event)

    def play(self, chunk: AudioChunk) -> None:
        """Gives the listener a chunk of the answer's speech."""
        if self._listener:
            self._listener.play(chunk)

    def _ask(self) -> Waiting:
        """The clip begins, for the first time or anew."""
        self._asked.close()
        return self._asked.enter_context(self._exchange.asking(self.key, self._start, repeatable=False))

    async def _reply(self, waiting: Waiting) -> Reply:
        """The terminal reply; that the agent does not know of the clip is none."""
        while True:
            reply = await waiting(_LONGEST_S)
            if not (reply.error and reply.error.reason == "no_upload"):
                return reply
            waiting = self._ask()
            self._send_all()

    async def _heard_of(self) -> Reply:
        """The reply; by and by, where nothing is heard, the agent is asked what it knows of the clip."""
        pause_s = FIRST_PAUSE_S
        while not self._found and not (await asyncio.wait({self._replying}, timeout=pause_s))[0]:
            await self._look()
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return self._found or self._replying.result()

    async def _look(self) -> None:
        try:
            found = await self._lookup()
        except (ContractError, NoReply):
            return  # nobody is there to tell
        if found and found.reply:
            # As it was when we were away: a clip that ended there, without its last pieces, is not what we would send.
            self._found = found.reply.model_copy(update={"replayed": True})
        elif found is None or found.state is RunState.DONE:
            # It knows nothing, or its reply is too large to be looked up: the same clip again has the same reply.
            self._publish(self._start)
            self._send_all()

    def _send_all(self) -> None:
        for number in range(len(self._pieces)):
            self._send_piece(number)
        if self._ended:
            self._send_end()

    def _send_piece(self, number: int) -> Future[Delivery]:
        return self._publish(Publication(self._topic(UploadStep.CHUNK, number), self._pieces[number]))

    def _send_end(self) -> None:
        self._publish(in_json(self._topic(UploadStep.END), UploadEnd(chunks=len(self._pieces))))

    def _topic(self, step: UploadStep, number: int | None = None) -> str:
        return self._topics.upload(*self.key, UploadPart(step, number))
