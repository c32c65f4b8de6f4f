"""Who says an answer: the TTS engine, as one request wants it to sound."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import VoiceOptions
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import AsyncTextToSpeech
from agent.errors import EngineDied, EngineError
from agent.pipeline.phrases import Phrase, Phrases

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNKNOWN_LANGUAGE = "und"


class Utterance(NamedTuple):
    """One sentence, said."""

    audio: Audio
    seconds: float
    """Work of the engine [s]; next to none where it was said before."""
    engine: str


class Voice:
    """Says one sentence after the other in the same way."""

    def __init__(
        self,
        engine: Callable[[], AsyncTextToSpeech | None],
        options: VoiceOptions,
        *,
        phrases: Phrases,
        language: str | None = None,
    ) -> None:
        """`engine` gives the one at hand; `language` of the text, where the request or its clip tells."""
        self.options = options
        self._engine = engine
        self._phrases = phrases
        self._language = language

    @property
    def language(self) -> str:
        """Of what it is to say; `und` where nobody knows."""
        engine = self._engine()
        return self._language or (engine and _own_language(engine.info, self.options.voice)) or UNKNOWN_LANGUAGE

    async def say(self, text: str) -> Utterance:
        """`text` as it sounds. EngineError where there is no engine, or it fails."""
        engine = at_hand(self._engine(), Stage.TTS)
        start = time.monotonic()
        phrase = Phrase(engine.info.label, self.options.voice, self.options.speed, text)
        audio = self._phrases.find(phrase)
        if audio is None:
            audio = await twice(lambda: engine.synthesize(text, voice=phrase.voice, speed=phrase.speed))
            self._phrases.remember(phrase, audio)
        return Utterance(audio, time.monotonic() - start, engine.info.label)


def at_hand(engine: T | None, stage: Stage) -> T:
    """`engine`, where there is one; else EngineError."""
    if engine is None:
        raise EngineError(
            stage, f"this agent has no engine for {stage.value}; its log says why", code=ErrorCode.MODEL_NOT_READY
        )
    return engine


async def twice(call: Callable[[], Awaitable[T]], *, unless: Callable[[], bool] = lambda: False) -> T:
    """Makes a call again, once, whose engine died under it: the crash is the engine's, not the request's."""
    try:
        return await call()
    except EngineDied as exc:
        if unless():
            raise
        logger.warning("%s; trying once more", exc.message)
        return await call()


def _own_language(info: EngineInfo, voice: str | None) -> str | None:
    """What the voice speaks: some engines name their voices after languages, some know only one."""
    for name in (voice, info.model):
        if name and name in info.languages:
            return name
    return info.languages[0] if len(info.languages) == 1 else None
