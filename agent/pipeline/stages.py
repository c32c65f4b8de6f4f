"""What each stage does with its engine, and how long it took; engines are seen through their ports only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.audio import Audio, decode_wav
from agent.contract.errors import ErrorCode
from agent.contract.messages import Request, Sampling
from agent.contract.terms import Mode, Overflow, Stage
from agent.engines.base import AsyncSpeechToText, AsyncTextToSpeech, ServedModel, Transcript
from agent.errors import AudioError, EngineError
from agent.pipeline.answering import Answer, Answering, Writer
from agent.pipeline.guards import GuardSettings
from agent.pipeline.hearing import Hearing
from agent.pipeline.history import Composer, ContextProvider, History
from agent.pipeline.manner import Manner, Manners
from agent.pipeline.phrases import Phrases
from agent.pipeline.voice import Voice, at_hand, twice
from agent.pipeline.window import Windows


@dataclass(frozen=True)
class Heard:
    """What came of STT."""

    transcript: Transcript
    seconds: float
    """From the end of the clip to the transcript [s]."""
    clip_s: float
    """Length of the clip [s]."""
    engine: str


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
    sampling: Sampling
    """How the language model picks its words, where neither a request nor the model's own settings say."""
    phrases: Phrases
    """Sentences that were said before."""
    manners: Manners = field(default_factory=Manners)
    """What requests may name, to be answered by it."""
    overflow: Overflow = Overflow.TRIM
    """What becomes of a conversation that does not fit, where a request does not say."""
    providers: Sequence[ContextProvider] = ()
    """What else the language model is to know."""
    windows: Windows = field(default_factory=Windows)
    """What is known of the models' windows."""
    guards: GuardSettings = field(default_factory=GuardSettings)
    """What is looked for in answers."""

    async def listen(self, request: Request) -> Hearing | None:
        """Has the clip of `request` heard while it arrives; None where no engine can, or has the time."""
        engine = self.engines.stt
        if engine is None:
            return None
        listening = await engine.listen(language=_wanted(request.language), prompt=request.stt.prompt or "")
        return Hearing(listening) if listening else None

    async def transcribe(
        self, wav: bytes, *, language: str | None, prompt: str = "", hearing: Hearing | None = None
    ) -> Heard:
        """What is said in `wav`, of which there may be a `hearing`.

        Raises AudioError where it cannot be read or nothing is said.
        """
        engine = at_hand(self.engines.stt, Stage.STT)
        start = time.monotonic()
        reading = asyncio.to_thread(_audible, wav, self.max_audio_s)
        audio, transcript = await asyncio.gather(reading, hearing.finish()) if hearing else (await reading, None)
        if transcript is None:
            wanted = _wanted(language)
            transcript = await twice(lambda: engine.transcribe(audio, language=wanted, prompt=prompt))
        if not transcript.text.strip():
            raise AudioError("nothing was said", code=ErrorCode.NO_SPEECH, reason="empty_transcript")
        return Heard(transcript, time.monotonic() - start, audio.duration_s, engine.info.label)

    async def chat(self, manner: Manner, question: str, history: History, writer: Writer) -> Answer:
        """The answer to `question`, or to the conversation that the request brings; `writer` gets its pieces.

        `history`: what was said before.
        """
        request = manner.request
        model = await self.engines.language_model(request.model)
        sampling = request.params.over(model.sampling).over(self.sampling)
        if request.mode is Mode.RAW:
            # What is given to the model as it is may be a conversation of the caller's own making.
            guards = replace(self.guards, role_markers=False)
            return await Answering(model.engine, sampling, guards=guards, writer=writer).answer(manner.prompt(question))
        answering = Answering(model.engine, sampling, guards=self.guards, writer=writer)
        composer = self._composer(model, request, history)
        while True:
            window = self.windows.of(model.engine, reserved=sampling.max_tokens)
            prompt = await composer.compose(request, manner.prompt(question), window)
            try:
                answer = await answering.answer(prompt)
            except EngineError as exc:
                if answering.has_begun or not prompt.can_be_shorter:
                    raise
                if not self.windows.learn(model.engine, prompt.messages, exc):
                    raise
            else:
                return replace(answer, window=window.tokens) if window else answer

    def voice(self, request: Request, language: str | None) -> Voice:
        """Who says the answer to `request`; `language` is the one its clip was heard in."""
        asked = None if request.language == "auto" else request.language
        return Voice(lambda: self.engines.tts, request.tts, phrases=self.phrases, language=asked or language)

    def _composer(self, model: ServedModel, request: Request, history: History) -> Composer:
        system = request.system or (self.system if model.system is None else model.system)
        return Composer(system, history, request.on_overflow or self.overflow, self.providers)


def _wanted(language: str | None) -> str | None:
    """As engines are told it: None lets them find out."""
    return None if language == "auto" else language


def _audible(wav: bytes, max_s: float) -> Audio:
    audio = decode_wav(wav, max_s=max_s)
    if audio.is_silent:
        raise AudioError("the clip is silent", code=ErrorCode.NO_SPEECH, reason="silence")
    return audio
