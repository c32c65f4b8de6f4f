"""A trial: a stack, clients of every kind that ask at a steady pace, parts that are killed meanwhile, one judgement."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.engines.settings import EngineSettings, LanguageModelSettings
from agent.stack import Part, Stack, StackSettings
from tests.faults.ledger import Ledger, Verdict, judge
from tests.faults.requesters import Requester, requester

MIX = ("mqtt5", "mqtt311", "http", "own", "mqtt5", "mqtt311", "http", "own")
PATIENCE_S = 90.0
"""How long the last outcomes may take [s]."""
JOB_S = 0.03
"""How long the language model takes [s]."""


@dataclass
class Trial:
    """What takes part in it."""

    stack: Stack
    ledger: Ledger
    requesters: Sequence[Requester]
    executions: Path

    @property
    def journal(self) -> Path:
        """The agent's journal."""
        return self.stack.settings.journal or self.stack.folder / "journal.db"

    async def load(self, count: int, *, per_s: float, patience_s: float = PATIENCE_S) -> None:
        """That many requests, in turns from every client; returns once all have their outcome, or none comes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        asking = set()
        for number in range(count):
            await asyncio.sleep(began + number / per_s - loop.time())
            who = self.requesters[number % len(self.requesters)]
            asking.add(asyncio.create_task(who.ask(uuid.uuid4().hex), name=f"ask[{number}]"))
        done, late = await asyncio.wait(asking, timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()

    async def kill(self, part: Part) -> None:
        """SIGKILL, and a start."""
        await self.stack.kill(part)
        self.ledger.killed(part)
        await self.stack.start(part)

    async def restart(self, part: Part) -> None:
        """SIGTERM, and a start."""
        await self.stack.stop(part)
        self.ledger.killed(part)
        await self.stack.start(part)

    @asynccontextmanager
    async def killing(
        self, *parts: Part, times: int, pause_s: float = 1.0, seed: int = 0, in_order: bool = False
    ) -> AsyncIterator[None]:
        """Meanwhile each part is killed, or stopped in order, so often; then all are there.

        `pause_s` is how long it lives meanwhile, about [s].
        """
        fell = self.restart if in_order else self.kill
        killers = [
            asyncio.create_task(_often(fell, part, times, pause_s, f"{seed} {part.value}"), name=f"kill[{part.value}]")
            for part in parts
        ]
        try:
            yield
        finally:
            await asyncio.gather(*killers)

    async def verdict(self) -> Verdict:
        """The judgement, once the agent has ended in order and written all down."""
        await self.stack.stop(Part.AGENT)
        return judge(self.ledger, executions=self.executions, journal=self.journal)


async def _often(fell: Callable[[Part], Awaitable[None]], part: Part, times: int, pause_s: float, seed: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - spreads kills, guards nothing
    for _ in range(times):
        await asyncio.sleep(pause_s * chance.uniform(0.5, 1.5))
        await fell(part)


def users(mix: Sequence[str]) -> tuple[str, ...]:
    """A broker user for each client."""
    return tuple(f"client-{number}" for number in range(len(mix)))


@asynccontextmanager
async def trial(
    folder: Path,
    *,
    mix: Sequence[str] = MIX,
    retry_s: float | None = 3.0,
    job_s: float = JOB_S,
    llm_options: dict[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Trial]:
    """A stack and a client of each kind in `mix`; `retry_s` None leaves plain clients without retries."""
    executions = folder / "executions.jsonl"
    settings = StackSettings.scripted(
        **{
            "llm": language_model(executions, **(llm_options or {"delay_s": job_s})),
            "users": users(mix),
            "parts": tuple(Part) if "http" in mix else (Part.BROKER, Part.AGENT),
            "bridge_timeout_s": 120.0,
            **changes,
        },
    )
    ledger = Ledger()
    async with Stack(settings) as stack, AsyncExitStack() as open_:
        requesters = [
            await open_.enter_async_context(requester(kind, stack, user, ledger, retry_s=retry_s))
            for kind, user in zip(mix, users(mix), strict=True)
        ]
        yield Trial(stack, ledger, requesters, executions)


def language_model(executions: Path, **options: Any) -> EngineSettings:
    """A scripted one that logs what it begins."""
    return LanguageModelSettings(name="scripted", options={"log": str(executions), "answer": "{text}", **options})
