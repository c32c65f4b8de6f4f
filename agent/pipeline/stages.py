"""What each stage does with its engine, and how long it took; engines are seen through their ports only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.audio import Audio, decode_wav, encode_wav
from agent.contract.base64 import encode_base64
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Request, Sampling, VoiceOptions
from agent.contract.reply import AudioBody
from agent.contract.terms import Mode, Role, Stage
from agent.engines.base import AsyncSpeechToText, AsyncTextToSpeech, Delta, ServedModel, Transcript
from agent.errors import AudioError, EngineDied, EngineError

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """What came of STT."""

    transcript: Transcript
    seconds: float
    clip_s: float
    engine: str


@dataclass(frozen=True)
class Answer:
    """What came of the LLM."""

    text: str
    end: Delta
    first_token_s: float
    seconds: float
    window: int | None
    engine: str


@dataclass(frozen=True)
class Spoken:
    """What came of TTS."""

    body: AudioBody
    seconds: float
    engine: str


class Writer(Protocol):
    """Who gets an answer piece by piece."""

    @property
    def is_read(self) -> bool:
        """Whether somebody reads the answer as it is written: then it is not begun again."""

    def began(self) -> None:
        """The answer begins; also where it begins again, after a crash."""

    def wrote(self, piece: str) -> None:
        """The next piece."""


class Engines(Protocol):
    """The engines at hand at the moment; None for a stage that has none."""

    @property
    def stt(self) -> AsyncSpeechToText | None:
        """Speech to text."""

    @property
    def tts(self) -> AsyncTextToSpeech | None:
        """Text to speech."""

    async def language_model(self, name: str | None) -> ServedModel:
        """The language model `name`, None for the agent's own. EngineError where there is none."""


@dataclass(frozen=True)
class Stages:
    """The work of each stage; one without an engine refuses it."""

    engines: Engines
    max_audio_s: float
    """Longest clip [s]."""
    system: str
    """Instruction to the language model, where a request has none."""
    max_tokens: int
    """Longest answer, where a request does not say [tokens]."""

    async def transcribe(self, wav: bytes, *, language: str | None, prompt: str = "") -> Heard:
        """What is said in `wav`. Raises AudioError where it cannot be read or nothing is said."""
        engine = _at_hand(self.engines.stt, Stage.STT)
        start = time.monotonic()
        audio = await asyncio.to_thread(_audible, wav, self.max_audio_s)
        wanted = None if language == "auto" else language
        transcript = await _twice(lambda: engine.transcribe(audio, language=wanted, prompt=prompt))
        if not transcript.text.strip():
            raise AudioError("nothing was said", code=ErrorCode.NO_SPEECH, reason="empty_transcript")
        return Heard(transcript, time.monotonic() - start, audio.duration_s, engine.info.label)

    async def chat(self, request: Request, question: str, writer: Writer) -> Answer:
        """The answer to `question`, or to the conversation that `request` brings; `writer` gets its pieces."""
        model = await self.engines.language_model(request.model)
        engine = model.engine
        most = request.params.max_tokens or model.max_tokens or self.max_tokens
        sampling = request.params.model_copy(update={"max_tokens": most})
        start = time.monotonic()
        first: float | None = None

        async def once() -> Answer:
            nonlocal first
            pieces: list[str] = []
            end = Delta()
            writer.began()
            async with aclosing(self._answer(model, request, question, sampling)) as deltas:
                async for delta in deltas:
                    if piece := _encodable(delta.text):
                        first = first or time.monotonic() - start
                        pieces.append(piece)
                        writer.wrote(piece)
                    end = delta
            took = time.monotonic() - start
            text = "".join(pieces).strip()
            if not text:
                raise EngineError(Stage.LLM, "the model gave an empty answer", reason="empty_answer")
            return Answer(text, end, first or took, took, engine.info.context_window, engine.info.label)

        return await _twice(once, unless=lambda: writer.is_read and first is not None)

    async def synthesize(self, text: str, voice: VoiceOptions) -> Spoken:
        """`text` as it sounds, at the rate that was asked for."""
        engine = _at_hand(self.engines.tts, Stage.TTS)
        start = time.monotonic()
        audio = await _twice(lambda: engine.synthesize(text, voice=voice.voice, speed=voice.speed))
        took = time.monotonic() - start
        return Spoken(await asyncio.to_thread(_body, audio, voice.sample_rate), took, engine.info.label)

    def _answer(
        self, model: ServedModel, request: Request, question: str, sampling: Sampling
    ) -> AsyncGenerator[Delta, None]:
        if request.mode is Mode.RAW:
            return model.engine.complete(question, sampling)
        system = request.system or (self.system if model.system is None else model.system)
        return model.engine.chat(self._messages(request, question, system), sampling)

    @staticmethod
    def _messages(request: Request, question: str, system: str) -> list[Message]:
        messages = request.messages or [Message(role=Role.USER, content=question)]
        if not system or messages[0].role is Role.SYSTEM:
            return messages
        return [Message(role=Role.SYSTEM, content=system), *messages]


def _audible(wav: bytes, max_s: float) -> Audio:
    audio = decode_wav(wav, max_s=max_s)
    if audio.is_silent:
        raise AudioError("the clip is silent", code=ErrorCode.NO_SPEECH, reason="silence")
    return audio


def _body(speech: Audio, sample_rate: int | None) -> AudioBody:
    rate = sample_rate or speech.sample_rate
    return AudioBody(
        data=encode_base64(encode_wav(speech, sample_rate=rate)),
        sample_rate=rate,
        duration_ms=round(speech.duration_s * 1_000),
    )


def _encodable(text: str) -> str:
    """`text` without the half characters that a model may stop in."""
    return text.encode("utf-8", "replace").decode()


def _at_hand(engine: T | None, stage: Stage) -> T:
    if engine is None:
        raise EngineError(
            stage, f"this agent has no engine for {stage.value}; its log says why", code=ErrorCode.MODEL_NOT_READY
        )
    return engine


async def _twice(call: Callable[[], Awaitable[T]], *, unless: Callable[[], bool] = lambda: False) -> T:
    """Makes a call again, once, whose engine died under it: the crash is the engine's, not the request's."""
    try:
        return await call()
    except EngineDied as exc:
        if unless():
            raise
        logger.warning("%s; trying once more", exc.message)
        return await call()
