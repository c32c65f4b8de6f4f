"""The engines of one agent; a stage for which there is none does not stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from typing_extensions import Self

from agent.contract.presence import EngineInfo, EngineState
from agent.contract.terms import Stage
from agent.engines.base import UNREACHABLE, AsyncSpeechToText, AsyncTextToSpeech, ServedModel
from agent.engines.budget import MemoryBudget
from agent.engines.language_models import DEFAULT, LanguageModels
from agent.engines.opening import Opener, Speech
from agent.errors import EngineError
from agent.settings import Settings

logger = logging.getLogger(__name__)


class EngineSet:
    """An engine for each stage that has one here."""

    def __init__(self, settings: Settings, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when an engine is lost or back."""
        self._settings = settings
        self._opener = Opener(settings.models_dir, MemoryBudget(settings.memory), on_change=on_change)
        self._speech: dict[Stage, Speech] = {}
        self.models = LanguageModels(settings.llm, settings.models, self._opener)
        """The language models, the agent's own among them."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(self.models.close(), *(host.close() for host in self._speech.values()))

    async def load(self) -> None:
        """Returns once every engine answers. EngineError where one that was asked for cannot be loaded."""
        settings = self._settings
        named = [name for name, model in settings.models.items() if model.load == "start"]
        opening = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("open[stt]", self._unless_asked_for(Stage.STT, self._open_speech(Stage.STT))),
                ("open[tts]", self._unless_asked_for(Stage.TTS, self._open_speech(Stage.TTS))),
                ("load[default]", self._unless_asked_for(Stage.LLM, self.models.load(DEFAULT))),
                *((f"load[{name}]", self.models.load(name)) for name in named),
            )
        ]
        try:
            await asyncio.gather(*opening)
        finally:
            for task in opening:
                task.cancel()
            await asyncio.wait(opening)

    @property
    def stt(self) -> AsyncSpeechToText | None:
        """Speech to text."""
        return cast("AsyncSpeechToText | None", self._speech.get(Stage.STT))

    @property
    def tts(self) -> AsyncTextToSpeech | None:
        """Text to speech."""
        return cast("AsyncTextToSpeech | None", self._speech.get(Stage.TTS))

    async def language_model(self, name: str | None) -> ServedModel:
        """The language model `name`, None for the agent's own. EngineError where there is none."""
        return await self.models.get(name)

    @property
    def info(self) -> dict[Stage, EngineInfo]:
        """Who does each stage."""
        return {stage: host.info for stage, host in self._hosts.items()}

    @property
    def state(self) -> dict[Stage, EngineState]:
        """How each engine's process fares."""
        return {stage: host.state for stage, host in self._hosts.items()}

    @property
    def _hosts(self) -> dict[Stage, Speech]:
        own = self.models.own
        return {**self._speech, **({Stage.LLM: own} if own else {})}

    async def _open_speech(self, stage: Stage) -> None:
        self._speech[stage] = await self._opener.open_speech(stage, getattr(self._settings, stage.value))

    async def _unless_asked_for(self, stage: Stage, opening: Awaitable[object]) -> None:
        """Lets an engine be missing that was not asked for, and a server that is not up yet: it is tried again."""
        try:
            await opening
        except EngineError as exc:
            if getattr(self._settings, stage.value).asked_for and exc.reason != UNREACHABLE:
                raise
            logger.warning("no engine for %s: %s", stage.value, exc)
