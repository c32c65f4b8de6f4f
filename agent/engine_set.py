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
from agent.errors import EngineError
from agent.settings import EngineSettings, Settings

logger = logging.getLogger(__name__)

_WARM_UP_RATE_HZ = 16_000


class EngineSet:
    """A host for each stage that has an engine here."""

    def __init__(self, settings: Settings, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when an engine is lost or back."""
        self._settings = settings
        self._on_change = on_change
        self._hosts: dict[Stage, EngineHost] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(host.close() for host in self._hosts.values()))

    async def load(self) -> None:
        """Returns once every engine answers. EngineError where one that was asked for by name cannot be loaded."""
        self._hosts = {stage: host for stage in Stage if (host := self._choose(stage))}
        await asyncio.gather(*(self._start(stage, host) for stage, host in list(self._hosts.items())))
        await self._warm_up()

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

    def _choose(self, stage: Stage) -> EngineHost | None:
        wanted = self._wanted(stage)
        try:
            name, options = choose(stage, wanted.name, wanted.options, self._settings.models_dir)
        except EngineError as exc:
            if wanted.name != "auto":
                raise
            logger.warning("no engine for %s: %s", stage.value, exc.message)
            return None
        return host_for(
            stage,
            name,
            options.model_dump(mode="json"),
            models_dir=self._settings.models_dir,
            load_timeout_s=wanted.load_timeout_s,
            hang_timeout_s=wanted.hang_timeout_s,
            cancel_grace_s=wanted.cancel_grace_s,
            environment=wanted.environment,
            on_change=self._on_change,
        )

    async def _start(self, stage: Stage, host: EngineHost) -> None:
        try:
            await host.start()
        except EngineError as exc:
            if self._wanted(stage).name != "auto":
                raise
            logger.error("the engine for %s cannot be loaded: %s", stage.value, exc.message)  # noqa: TRY400 - one line
            del self._hosts[stage]

    def _wanted(self, stage: Stage) -> EngineSettings:
        return {Stage.STT: self._settings.stt, Stage.LLM: self._settings.llm, Stage.TTS: self._settings.tts}[stage]

    async def _warm_up(self) -> None:
        """The first call pays for what libraries put off; let it not be a caller's."""
        if self.stt:
            hush = Audio(np.zeros(_WARM_UP_RATE_HZ // 2, dtype=np.float32), _WARM_UP_RATE_HZ)
            await self.stt.transcribe(hush, language=None)
        if self.llm:
            question = [Message(role=Role.USER, content="Hello.")]
            async for _ in self.llm.chat(question, Sampling(max_tokens=1)):
                pass
        if self.tts:
            await self.tts.synthesize("Ready.", voice=None, speed=1.0)
