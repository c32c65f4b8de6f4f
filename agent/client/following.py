"""A request that is asked, and heard of while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from agent.client.arrivals import Arrivals
from agent.client.exchange import Exchange
from agent.client.listeners import AudioChunk, Listeners
from agent.client.questions import Question
from agent.contract.events import Event
from agent.contract.reply import Reply


async def follow(
    question: Question, exchange: Exchange, listeners: Listeners, *, abandon: Callable[[], None]
) -> AsyncGenerator[Event | AudioChunk | Reply, None]:
    """What is told of the run of `question`, in order, and last its reply; raises what Exchange does.

    `abandon` is called where it is closed before its end, and nobody else waits for the reply either.
    """
    arrivals = Arrivals()
    abandoned = False
    try:
        with (
            listeners.attend(question.key, arrivals),
            exchange.asking(question.key, question.publication) as reply,
        ):
            replying = asyncio.ensure_future(reply(question.wait_s))
            replying.add_done_callback(arrivals.answered)
            try:
                while part := await arrivals.next():
                    yield part
                yield await replying
            finally:
                abandoned = not replying.done()
                replying.cancel()
                await asyncio.gather(replying, return_exceptions=True)
    finally:  # now that it is not awaited here any more: who asks it next is to hear of no cancel
        if abandoned and not exchange.awaits(question.key):
            abandon()
