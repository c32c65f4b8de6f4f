"""Engines of this machine on their own, and clips of speech made by one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from agent.audio import Audio
from agent.contract.terms import Stage
from agent.engines.base import AsyncLanguageModel, AsyncSpeechToText, AsyncTextToSpeech
from agent.engines.budget import MemoryBudget
from agent.engines.opening import Opener
from agent.engines.settings import AUTO, EngineSettings
from agent.settings import Settings

RATE_HZ = 16_000


def hearing(engine: EngineSettings) -> AbstractAsyncContextManager[AsyncSpeechToText]:
    """Speech to text, ready and warm, in a process of its own; so are the others."""
    return cast("AbstractAsyncContextManager[AsyncSpeechToText]", _opened(Stage.STT, engine))


def writing(engine: EngineSettings) -> AbstractAsyncContextManager[AsyncLanguageModel]:
    """A language model."""
    return cast("AbstractAsyncContextManager[AsyncLanguageModel]", _opened(Stage.LLM, engine))


def speaking(engine: EngineSettings) -> AbstractAsyncContextManager[AsyncTextToSpeech]:
    """Text to speech."""
    return cast("AbstractAsyncContextManager[AsyncTextToSpeech]", _opened(Stage.TTS, engine))


async def spoken(sentences: Sequence[str], voice: str = AUTO) -> list[Audio]:
    """The sentences as `voice`, an engine, speaks them, at 16 kHz; left out, the one liked best of those here."""
    async with speaking(EngineSettings(name=voice)) as tts:
        speech = [await tts.synthesize(text, voice=None, speed=1.0) for text in sentences]
    return await asyncio.to_thread(lambda: [clip.resampled(RATE_HZ) for clip in speech])


def pieces(clip: Audio, length_s: float) -> list[Audio]:
    """`clip` cut up, as it arrives while it is being spoken."""
    size = round(length_s * clip.sample_rate)
    return [Audio(clip.samples[start : start + size], clip.sample_rate) for start in range(0, len(clip.samples), size)]


@asynccontextmanager
async def _opened(stage: Stage, engine: EngineSettings) -> AsyncIterator[Any]:
    settings = Settings()
    opener = Opener(settings.models_dir, MemoryBudget(settings.memory), on_change=lambda: None)
    host = await opener.open(stage, engine)
    try:
        yield host
    finally:
        await host.close()
