"""Opens an engine: chosen, found to fit into memory, hosted, and asked once before anybody else asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.budget import MemoryBudget
from agent.engines.host import EngineHost, LanguageModelHost, SpeechToTextHost, TextToSpeechHost, host_for
from agent.engines.registry import choose, leaf
from agent.engines.settings import EngineSettings
from agent.errors import EngineError

_WARM_UP_RATE_HZ = 16_000


class Opener:
    """How this agent opens its engines."""

    def __init__(self, models_dir: Path, budget: MemoryBudget, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when an engine is lost or back."""
        self._models_dir = models_dir
        self._budget = budget
        self._on_change = on_change

    async def open(self, stage: Stage, wanted: EngineSettings) -> EngineHost:
        """The engine that is wanted, ready and warm. EngineError says why there is none."""
        chosen, needs_bytes = await asyncio.to_thread(self._choose, stage, wanted)  # it reads files, of slow disks, too
        name = chosen.name
        with self._budget.room(stage, name, needs_bytes):
            host = host_for(stage, chosen, self._models_dir, on_change=self._on_change)
            try:
                await host.start()
                # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
                await asyncio.wait_for(_warm_up(host), wanted.load_timeout_s)
            except asyncio.TimeoutError as exc:
                await host.close()
                raise EngineError(stage, f"{name} did not answer within {wanted.load_timeout_s:g} s") from exc
            except BaseException:
                await host.close()
                raise
        return host

    def _choose(self, stage: Stage, wanted: EngineSettings) -> tuple[EngineSettings, int]:
        """The engine by its name, its options checked, and the memory that it needs [bytes]."""
        name, options = choose(stage, wanted.name, wanted.options, self._models_dir)
        chosen = wanted.model_copy(update={"name": name, "options": options.model_dump(mode="json")})
        return chosen, leaf(stage, name).needs_bytes(options, self._models_dir)


async def _warm_up(host: EngineHost) -> None:
    """The first call pays for what libraries put off; let it not be a caller's."""
    if isinstance(host, SpeechToTextHost):
        hush = Audio(np.zeros(_WARM_UP_RATE_HZ // 2, dtype=np.float32), _WARM_UP_RATE_HZ)
        await host.transcribe(hush, language=None, prompt="")
    if isinstance(host, LanguageModelHost):
        question = [Message(role=Role.USER, content="Hello.")]
        async for _ in host.chat(question, Sampling(max_tokens=1)):
            pass
    if isinstance(host, TextToSpeechHost):
        await host.synthesize("Ready.", voice=None, speed=1.0)
