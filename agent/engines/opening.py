"""Opens an engine: chosen, found to fit into memory, hosted, and asked once before anybody else asks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.base import SpeechToText, TextToSpeech
from agent.engines.budget import MemoryBudget
from agent.engines.host import EngineHost, LanguageModelHost, SpeechToTextHost, TextToSpeechHost, host_for
from agent.engines.pool import SpeechToTextPool, TextToSpeechPool
from agent.engines.registry import choose, leaf
from agent.engines.settings import EngineSettings
from agent.errors import EngineError

logger = logging.getLogger(__name__)

_WARM_UP_RATE_HZ = 16_000
_CORES_A_WORKER, _MOST_WORKERS = 4, 4

Speech = EngineHost | SpeechToTextPool | TextToSpeechPool
"""An engine for speech, in one process or several."""


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
        return await self._open(stage, chosen, needs_bytes)

    async def open_speech(self, stage: Stage, wanted: EngineSettings) -> Speech:
        """The engine that is wanted, in as many processes as are wanted and fit into memory, but one at least."""
        chosen, needs_bytes = await asyncio.to_thread(self._choose, stage, wanted)
        hosts = [await self._open(stage, chosen, needs_bytes)]
        workers = chosen.workers or _workers(stage, chosen.name)
        try:
            while len(hosts) < workers:
                hosts.append(await self._open(stage, chosen, needs_bytes))
        except EngineError as exc:
            logger.warning("%d of %d processes for %s: %s", len(hosts), workers, stage.value, exc)
        except BaseException:
            await asyncio.gather(*(host.close() for host in hosts))
            raise
        return _together(hosts)

    async def _open(self, stage: Stage, chosen: EngineSettings, needs_bytes: int) -> EngineHost:
        name = chosen.name
        with self._budget.room(stage, name, needs_bytes):
            host = host_for(stage, chosen, self._models_dir, on_change=self._on_change)
            try:
                await host.start()
                # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
                await asyncio.wait_for(_warm_up(host), chosen.load_timeout_s)
            except asyncio.TimeoutError as exc:
                await host.close()
                raise EngineError(stage, f"{name} did not answer within {chosen.load_timeout_s:g} s") from exc
            except BaseException:
                await host.close()
                raise
        return host

    def _choose(self, stage: Stage, wanted: EngineSettings) -> tuple[EngineSettings, int]:
        """The engine by its name, its options checked, and the memory that it needs [bytes]."""
        name, options = choose(stage, wanted.name, wanted.options, self._models_dir)
        chosen = wanted.model_copy(update={"name": name, "options": options.model_dump(mode="json")})
        return chosen, leaf(stage, name).needs_bytes(options, self._models_dir)


def _workers(stage: Stage, name: str) -> int:
    """How many processes of the engine `name` this machine is for."""
    engine = cast("type[SpeechToText | TextToSpeech]", leaf(stage, name))
    return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // _CORES_A_WORKER)) if engine.one_core else 1


def _together(hosts: Sequence[EngineHost]) -> Speech:
    if len(hosts) == 1:
        return hosts[0]
    if isinstance(hosts[0], SpeechToTextHost):
        return SpeechToTextPool(cast("Sequence[SpeechToTextHost]", hosts))
    return TextToSpeechPool(cast("Sequence[TextToSpeechHost]", hosts))


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
