"""Requests that wait: an agent whose language model takes its time, and how many it says it has."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.contract.terms import Operation
from agent.engines.settings import EngineSettings
from agent.stack import DEMO_USER, Part, Stack, StackSettings
from benchmarks.paho_client import QOS, subscribed
from benchmarks.questions import Question

_LIMITS = {
    "EDGEVOICE_LIMITS__MAX_QUEUED": "4000",
    "EDGEVOICE_LIMITS__MAX_QUEUED_PER_CLIENT": "4000",
    "EDGEVOICE_LIMITS__MAX_QUEUED_AUDIO_S_PER_CLIENT": "1200",
    "EDGEVOICE_LIMITS__DEFAULT_DEADLINE_MS": "600000",
    "EDGEVOICE_GRACEFUL_SHUTDOWN_S": "0",
}
_SLOW = EngineSettings(name="scripted", options={"piece_delay_s": 600.0})
_PATIENCE_S = 60.0


class Depth:
    """How many requests the agent says it has, waiting and running."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = 0
        self._changed = asyncio.Event()

    def book(self, payload: bytes) -> None:
        """Takes the agent's state, on the network thread."""
        state = json.loads(payload)
        self._loop.call_soon_threadsafe(self._take, state["queued"] + state["running"])

    async def reaches(self, count: int) -> None:
        """Returns once there are so many; TimeoutError where that never comes."""
        while self._now < count:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), _PATIENCE_S)

    def _take(self, depth: int) -> None:
        self._now = depth
        self._changed.set()


@asynccontextmanager
async def busy() -> AsyncIterator[tuple[Stack, Depth]]:
    """An agent whose language model takes its time, and how much it has to do."""
    settings = StackSettings.scripted(llm=_SLOW, environment=_LIMITS, parts=(Part.BROKER, Part.AGENT))
    depth = Depth()
    async with Stack(settings) as stack:
        with subscribed(stack.mqtt(), stack.topics.state, depth.book):
            yield stack, depth


async def queue(stack: Stack, question: Question, amount: int, depth: Depth, *, already: int = 0) -> None:
    """Asks so many more times, and returns once the agent has them all, with those that it had already."""
    with subscribed(stack.mqtt(), stack.topics.all_replies(DEMO_USER), lambda _: None) as client:
        for _ in range(amount):
            request = question.encode(uuid.uuid4().hex.encode())
            client.publish(stack.topics.request(DEMO_USER, Operation.CHAT), request, QOS)
        await depth.reaches(already + amount)
