"""Engines that need no model: they do as they were told, for tests, benchmarks and dry runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines.base import (
    CancelFlag,
    Delta,
    EngineOptions,
    LanguageModel,
    LiveSpeechToText,
    TextToSpeech,
    Transcript,
)
from agent.errors import EngineError, too_long

_LOOK_S = 0.005
_VOICE = "sine"
_TONE_HZ = 440.0
_S_PER_CHARACTER = 0.06


class _Scripted:
    """Needs nothing and holds nothing."""

    @classmethod
    def missing(cls, options: EngineOptions, models_dir: Path) -> str | None:
        """Never anything."""
        return None

    @classmethod
    def needs_bytes(cls, options: EngineOptions, models_dir: Path) -> int:
        """What the test says."""
        return int(getattr(options, "needs_bytes", 0))

    def close(self) -> None:
        """Nothing to give back."""


class ScriptedSpeechToTextOptions(EngineOptions):
    """What it hears, and when."""

    text: str = "turn on the kitchen lights"
    """What it hears in every clip."""
    delay_s: float = Field(default=0.0, ge=0)
    """How long it listens [s]."""
    pace: float = Field(default=0.0, ge=0)
    """How long it listens beside that, by the length of the clip; one that it hears as it arrives it has heard then."""
    live_sessions: int = Field(default=8, ge=0)
    """Clips heard at once while they arrive."""


class ScriptedSpeechToText(_Scripted):
    """Hears the same words in every clip."""

    Options: ClassVar[type[EngineOptions]] = ScriptedSpeechToTextOptions
    one_core: ClassVar[bool] = False

    def __init__(self, options: ScriptedSpeechToTextOptions, models_dir: Path) -> None:
        self._options = options
        self.sessions = options.live_sessions

    @property
    def info(self) -> EngineInfo:
        """What it pretends to be."""
        return EngineInfo(name="scripted", model="fixed", languages=("en",))

    def transcribe(self, audio: Audio, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Transcript:
        """The words of its options, whatever the clip."""
        _wait(self._options.delay_s + self._options.pace * audio.duration_s, cancelled)
        return Transcript(self._options.text, language or "en")

    def listen(self, *, language: str | None, prompt: str, cancelled: CancelFlag) -> ScriptedListening:
        """Begins to hear a clip."""
        return ScriptedListening(self._options, language or "en", cancelled)


class ScriptedListening:
    """Hears, at the end, the words of its options."""

    def __init__(self, options: ScriptedSpeechToTextOptions, language: str, cancelled: CancelFlag) -> None:
        self._options = options
        self._language = language
        self._cancelled = cancelled

    def feed(self, audio: Audio) -> None:
        """Nothing to do."""

    def finish(self) -> Transcript:
        """The words; takes what every clip takes, however long it was."""
        _wait(self._options.delay_s, self._cancelled)
        return Transcript(self._options.text, self._language)

    def close(self) -> None:
        """Nothing to give back."""


class ScriptedLanguageModelOptions(EngineOptions):
    """What it answers, and when."""

    answer: str = "You said: {text}"
    """The answer; `{text}` is the last message of the conversation, `{asked}` all that was asked, instruction first."""
    delay_s: float = Field(default=0.0, ge=0)
    """How long it reads before the first word [s]."""
    piece_delay_s: float = Field(default=0.0, ge=0)
    """How long each further word takes [s]."""
    slots: int = Field(default=8, ge=1)
    """Conversations at once."""
    window: int = Field(default=4_096, ge=1)
    """Words of a conversation and its answer; a longer question is refused."""
    needs_bytes: int = Field(default=0, ge=0)
    """Memory that it says it will need [bytes]."""
    log: Path | None = None
    """File that gets a line of JSON for every answer begun: `time` [s since 1970] and `question`."""
    kills_agent: str = ""
    """Where a question contains this, the process that started the engine's is killed; empty for never."""


class ScriptedLanguageModel(_Scripted):
    """Answers with a template, word by word."""

    Options: ClassVar[type[EngineOptions]] = ScriptedLanguageModelOptions

    def __init__(self, options: ScriptedLanguageModelOptions, models_dir: Path) -> None:
        self._options = options
        self._starter = os.getppid()
        self.slots = options.slots

    @property
    def info(self) -> EngineInfo:
        """What it pretends to be."""
        return EngineInfo(name="scripted", model="template", languages=("en",), context_window=self._options.window)

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The filled-in template; a token is a word."""
        heard = "\n".join(message.content for message in messages)
        asked = " / ".join(message.content for message in messages if message.role is not Role.ASSISTANT)
        return self._say(messages[-1].content, heard, sampling, asked=asked)

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The template, filled in with the whole prompt."""
        return self._say(prompt, prompt, sampling)

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """The words."""
        heard = asked if isinstance(asked, str) else " ".join(message.content for message in asked)
        return len(heard.split())

    async def _say(
        self, question: str, heard: str, sampling: Sampling, *, asked: str = ""
    ) -> AsyncGenerator[Delta, None]:
        answer = self._options.answer.replace("{text}", question).replace("{asked}", asked)
        words = answer.split(" ")
        read = len(heard.split())
        if read >= self._options.window:
            raise too_long(read, self._options.window)
        said = words[: min(sampling.max_tokens or len(words), self._options.window - read)]
        self._begin(question)
        await asyncio.sleep(self._options.delay_s)
        for number, word in enumerate(said):
            if number:
                await asyncio.sleep(self._options.piece_delay_s)
            yield Delta(f" {word}" if number else word)
        yield Delta(
            finish_reason=FinishReason.STOP if said == words else FinishReason.LENGTH,
            prompt_tokens=read,
            completion_tokens=len(said),
        )

    def _begin(self, question: str) -> None:
        if self._options.log:
            line = json.dumps({"time": time.time(), "question": question})
            with self._options.log.open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")
        poison = self._options.kills_agent
        if poison and poison in question and os.getppid() == self._starter:
            os.kill(self._starter, signal.SIGKILL)


class ScriptedTextToSpeechOptions(EngineOptions):
    """How it sounds, and when."""

    sample_rate: int = Field(default=16_000, ge=8_000, le=48_000)
    """Samples a second [Hz]."""
    delay_s: float = Field(default=0.0, ge=0)
    """How long it takes [s]."""
    pace: float = Field(default=0.0, ge=0)
    """How long it takes beside that, by the length of the speech."""


class ScriptedTextToSpeech(_Scripted):
    """Speaks in a tone that lasts as long as the text is."""

    Options: ClassVar[type[EngineOptions]] = ScriptedTextToSpeechOptions
    one_core: ClassVar[bool] = False

    def __init__(self, options: ScriptedTextToSpeechOptions, models_dir: Path) -> None:
        self._options = options

    @property
    def info(self) -> EngineInfo:
        """What it pretends to be."""
        return EngineInfo(
            name="scripted",
            model=_VOICE,
            languages=("en",),
            voices=(_VOICE,),
            sample_rate=self._options.sample_rate,
        )

    def synthesize(self, text: str, *, voice: str | None, speed: float, cancelled: CancelFlag) -> Audio:
        """A sine, 60 ms a character."""
        if voice not in (None, _VOICE):
            raise EngineError(Stage.TTS, f"no voice {voice!r}; there is {_VOICE}", code=ErrorCode.NOT_FOUND)
        duration_s = len(text) * _S_PER_CHARACTER / speed
        _wait(self._options.delay_s + self._options.pace * duration_s, cancelled)
        rate = self._options.sample_rate
        times = np.arange(round(duration_s * rate), dtype=np.float32) / rate
        return Audio((0.3 * np.sin(2 * np.pi * _TONE_HZ * times)).astype(np.float32), rate)


def _wait(seconds: float, cancelled: CancelFlag) -> None:
    end = time.monotonic() + seconds
    while not cancelled() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_S))


_stt: type[LiveSpeechToText] = ScriptedSpeechToText
_llm: type[LanguageModel] = ScriptedLanguageModel
_tts: type[TextToSpeech] = ScriptedTextToSpeech
