"""The engines of one agent: chosen, hosted, warmed up; a stage for which there is none does not stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import numpy as np
from typing_extensions import Self

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo, EngineState
from agent.contract.terms import Role, Stage
from agent.engines.base import AsyncLanguageModel, AsyncSpeechToText, AsyncTextToSpeech
from agent.engines.host import EngineHost, host_for
from agent.engines.registry import choose
from agent.engines.settings import AUTO
from agent.errors import EngineError
from agent.settings import Settings

logger = logging.getLogger(__name__)

_WARM_UP_RATE_HZ = 16_000


class EngineSet:
    """A host for each stage that has an engine here."""

    def __init__(self, settings: Settings, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when an engine is lost or back."""
        self._wanted = {Stage.STT: settings.stt, Stage.LLM: settings.llm, Stage.TTS: settings.tts}
        self._models_dir = settings.models_dir
        self._on_change = on_change
        self._hosts: dict[Stage, EngineHost] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(host.close() for host in self._hosts.values()))

    async def load(self) -> None:
        """Returns once every engine answers. EngineError where one that was asked for by name cannot be loaded."""
        opening = [asyncio.create_task(self._open(stage), name=f"open[{stage.value}]") for stage in Stage]
        try:
            await asyncio.gather(*opening)
        finally:
            for task in opening:
                task.cancel()
            await asyncio.wait(opening)

    @property
    def stt(self) -> AsyncSpeechToText | None:
        """Speech to text."""
        return cast("AsyncSpeechToText | None", self._hosts.get(Stage.STT))

    @property
    def llm(self) -> AsyncLanguageModel | None:
        """Language model."""
        return cast("AsyncLanguageModel | None", self._hosts.get(Stage.LLM))

    @property
    def tts(self) -> AsyncTextToSpeech | None:
        """Text to speech."""
        return cast("AsyncTextToSpeech | None", self._hosts.get(Stage.TTS))

    @property
    def info(self) -> dict[Stage, EngineInfo]:
        """Who does each stage."""
        return {stage: host.info for stage, host in self._hosts.items()}

    @property
    def state(self) -> dict[Stage, EngineState]:
        """How each engine's process fares."""
        return {stage: host.state for stage, host in self._hosts.items()}

    async def _open(self, stage: Stage) -> None:
        """Chooses the engine of a stage and starts it; one that was not asked for by name may be missing."""
        wanted = self._wanted[stage]
        try:
            name, options = choose(stage, wanted.name, wanted.options, self._models_dir)
            chosen = wanted.model_copy(update={"name": name, "options": options.model_dump(mode="json")})
            self._hosts[stage] = host = host_for(stage, chosen, self._models_dir, on_change=self._on_change)
            await host.start()
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(self._warm_up(stage), wanted.load_timeout_s)
        except (EngineError, asyncio.TimeoutError) as exc:
            if failed := self._hosts.pop(stage, None):
                await failed.close()
            if wanted.name != AUTO:
                raise EngineError(stage, str(exc) or f"no answer within {wanted.load_timeout_s:g} s") from exc
            logger.warning("no engine for %s: %s", stage.value, str(exc) or "no answer")

    async def _warm_up(self, stage: Stage) -> None:
        """The first call pays for what libraries put off; let it not be a caller's."""
        if stage is Stage.STT and self.stt:
            hush = Audio(np.zeros(_WARM_UP_RATE_HZ // 2, dtype=np.float32), _WARM_UP_RATE_HZ)
            await self.stt.transcribe(hush, language=None)
        if stage is Stage.LLM and self.llm:
            question = [Message(role=Role.USER, content="Hello.")]
            async for _ in self.llm.chat(question, Sampling(max_tokens=1)):
                pass
        if stage is Stage.TTS and self.tts:
            await self.tts.synthesize("Ready.", voice=None, speed=1.0)
