"""What each stage does with its engine, and how long it took; engines are seen through their ports only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.audio import Audio, decode_wav
from agent.contract.errors import ErrorCode
from agent.contract.messages import Request, Sampling
from agent.contract.terms import FinishReason, Mode, Overflow, Stage
from agent.engines.base import AsyncSpeechToText, AsyncTextToSpeech, Delta, ServedModel, Transcript
from agent.errors import AudioError, EngineError
from agent.pipeline.guards import Ending, Guard, GuardSettings
from agent.pipeline.hearing import Hearing
from agent.pipeline.history import Composer, ContextProvider, History, Prompt
from agent.pipeline.manner import Manner, Manners
from agent.pipeline.phrases import Phrases
from agent.pipeline.voice import Voice, at_hand, twice
from agent.pipeline.window import Window

_ENDS = {Ending.LOOP: FinishReason.LOOP, Ending.TIME: FinishReason.DEADLINE}


@dataclass(frozen=True)
class Heard:
    """What came of STT."""

    transcript: Transcript
    seconds: float
    """From the end of the clip to the transcript [s]."""
    clip_s: float
    """Length of the clip [s]."""
    engine: str


@dataclass(frozen=True)
class Answer:
    """What came of the LLM."""

    text: str
    end: Delta
    """The last piece, with what the engine counted."""
    first_token_s: float
    """From the question to the first piece [s]."""
    seconds: float
    """From the question to the last piece [s]."""
    window: int | None
    """Of the model [tokens]; None where the engine does not say."""
    engine: str
    dropped: int = 0
    """Messages of the conversation that were left out."""


class Writer(Protocol):
    """Who gets an answer piece by piece."""

    @property
    def is_followed(self) -> bool:
        """Whether somebody reads or hears the answer as it is written: then it is not begun again."""

    async def began(self) -> None:
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
        engine = model.engine
        sampling = request.params.over(model.sampling).over(self.sampling)
        start = time.monotonic()
        first: float | None = None
        prompt = await self._prompt(model, request, manner.prompt(question), history, sampling)
        # What is given to the model as it is may be a conversation of the caller's own making.
        guards = replace(self.guards, role_markers=False) if request.mode is Mode.RAW else self.guards

        async def once() -> Answer:
            nonlocal first
            guard = Guard(guards, sampling.stop)
            end = Delta()
            tokens = 0
            await writer.began()
            async with aclosing(self._answer(model, prompt, sampling)) as deltas:
                async for delta in deltas:
                    if delta.text:
                        first = first or time.monotonic() - start
                        tokens += 1
                    if piece := guard.feed(_encodable(delta.text)):
                        writer.wrote(piece)
                    end = delta
                    if guard.ending:
                        break
            if piece := guard.end(at_limit=end.finish_reason is FinishReason.LENGTH):
                writer.wrote(piece)
            if guard.ending:
                read = None if isinstance(prompt, str) else await engine.count(prompt.messages)
                end = _ended_early(end, guard.ending, prompt_tokens=read or 0, completion_tokens=tokens)
            took = time.monotonic() - start
            text = guard.text.strip()
            if not text:
                raise EngineError(Stage.LLM, "the model gave an empty answer", reason="empty_answer")
            dropped = 0 if isinstance(prompt, str) else prompt.dropped
            return Answer(text, end, first or took, took, engine.info.context_window, engine.info.label, dropped)

        return await twice(once, unless=lambda: writer.is_followed and first is not None)

    def voice(self, request: Request, language: str | None) -> Voice:
        """Who says the answer to `request`; `language` is the one its clip was heard in."""
        asked = None if request.language == "auto" else request.language
        return Voice(lambda: self.engines.tts, request.tts, phrases=self.phrases, language=asked or language)

    async def _prompt(
        self, model: ServedModel, request: Request, question: str, history: History, sampling: Sampling
    ) -> Prompt | str:
        """What `model` is asked; as it is, where the request is raw."""
        if request.mode is Mode.RAW:
            return question
        system = request.system or (self.system if model.system is None else model.system)
        composer = Composer(system, history, request.on_overflow or self.overflow, self.providers)
        tokens = model.engine.info.context_window
        window = Window(model.engine, tokens, min(sampling.max_tokens or tokens, tokens // 2)) if tokens else None
        return await composer.compose(request, question, window)

    @staticmethod
    def _answer(model: ServedModel, prompt: Prompt | str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        if isinstance(prompt, str):
            return model.engine.complete(prompt, sampling)
        return model.engine.chat(prompt.messages, sampling)


def _wanted(language: str | None) -> str | None:
    """As engines are told it: None lets them find out."""
    return None if language == "auto" else language


def _audible(wav: bytes, max_s: float) -> Audio:
    audio = decode_wav(wav, max_s=max_s)
    if audio.is_silent:
        raise AudioError("the clip is silent", code=ErrorCode.NO_SPEECH, reason="silence")
    return audio


def _ended_early(end: Delta, ending: Ending, *, prompt_tokens: int, completion_tokens: int) -> Delta:
    """The last piece of an answer that was not waited for to its end: the engine's own count may never have come."""
    return replace(
        end,
        finish_reason=_ENDS.get(ending, FinishReason.STOP),
        prompt_tokens=end.prompt_tokens or prompt_tokens,
        completion_tokens=end.completion_tokens or completion_tokens,
    )


def _encodable(text: str) -> str:
    """`text` without the half characters that a model may stop in."""
    return text.encode("utf-8", "replace").decode()
