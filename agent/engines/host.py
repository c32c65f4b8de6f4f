"""The agent's side of an engine: puts the pipeline's calls to a worker that is kept alive for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo, EngineState
from agent.contract.terms import Stage
from agent.engines.base import (
    AsyncLanguageModel,
    AsyncListening,
    AsyncSpeechToText,
    AsyncTextToSpeech,
    Delta,
    Transcript,
)
from agent.engines.calls import (
    Chat,
    Count,
    Counted,
    Feed,
    Listen,
    Piece,
    Synthesize,
    Synthesized,
    Transcribe,
    Transcribed,
)
from agent.engines.frames import Frame, Kind
from agent.engines.inflight import CallsInFlight, Session
from agent.engines.keeper import Keeper
from agent.engines.settings import EngineSettings


class EngineHost:
    """One engine in a process of its own. A call made while the process is being started again waits for it."""

    def __init__(
        self, stage: Stage, settings: EngineSettings, models_dir: Path, *, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is called when the engine is lost or back."""
        self._calls = CallsInFlight(stage, settings.cancel_grace_s)
        self._keeper = Keeper(stage, settings, models_dir, calls=self._calls, on_change=on_change)

    async def start(self) -> None:
        """Loads the engine; EngineError, with the worker's last words, where that fails."""
        await self._keeper.start()

    async def close(self) -> None:
        """Ends the worker; calls in progress fail, and so do later ones."""
        await self._keeper.close()

    @property
    def info(self) -> EngineInfo:
        """What was loaded; there is nothing to tell before `start`."""
        return self._keeper.info

    @property
    def state(self) -> EngineState:
        """How the process fares."""
        return self._keeper.state

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none that is ready."""
        return self._keeper.pid

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for an answer, or for the turn to ask."""
        return self._calls.wanted

    @property
    def load(self) -> tuple[int, int]:
        """How many calls are in progress or wait for their turn, and how many clips it hears as they arrive."""
        return self._calls.load

    def _call(self, asked: Frame) -> AsyncGenerator[Frame, None]:
        """The frames that answer a call, the last of them DONE; or its EngineError."""
        return self._calls.make(asked, self._keeper.ready)

    async def _ask(self, asked: Frame) -> Frame:
        """The one frame that answers a call."""
        async with aclosing(self._call(asked)) as answer:
            return await anext(answer)


class SpeechToTextHost(EngineHost):
    """AsyncSpeechToText over a worker."""

    async def transcribe(self, audio: Audio, *, language: str | None, prompt: str) -> Transcript:
        """What is said in `audio`."""
        done = await self._ask(Transcribe(audio=audio, language=language, prompt=prompt).frame())
        return Transcribed.of(done).transcript

    async def listen(self, *, language: str | None, prompt: str) -> AsyncListening | None:
        """Begins to hear a clip that is still arriving; None where that cannot be done now."""
        worker = self._keeper.worker
        asked = Listen(language=language, prompt=prompt)
        session = self._calls.listen(asked.frame(), worker) if worker else None
        return _HostListening(session) if session else None


class _HostListening:
    """AsyncListening over a worker."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def feed(self, audio: Audio) -> None:
        """Hands over the next piece."""
        self._session.say(Feed(audio=audio).frame())

    async def finish(self) -> Transcript:
        """What is said in all that was fed."""
        self._session.say(Frame(Kind.FINISH))
        try:
            return Transcribed.of(await self._session.answer()).transcript
        finally:
            self._session.close()

    def close(self) -> None:
        """Ends the engine's work."""
        self._session.close()


class LanguageModelHost(EngineHost):
    """AsyncLanguageModel over a worker."""

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces; the last has a finish_reason."""
        return self._answer(Chat(asked=list(messages), sampling=sampling))

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is."""
        return self._answer(Chat(asked=prompt, sampling=sampling))

    async def count(self, messages: Sequence[Message]) -> int | None:
        """The tokens that the conversation has as this model reads it; None where it cannot tell."""
        worker = await self._keeper.ready()
        counted = await self._calls.ask_aside(Count(asked=list(messages)).frame(), worker)
        return Counted.of(counted).tokens

    async def _answer(self, call: Chat) -> AsyncGenerator[Delta, None]:
        async with aclosing(self._call(call.frame())) as answer:
            async for frame in answer:
                if frame.kind is Kind.PIECE:
                    yield Piece.of(frame).delta


class TextToSpeechHost(EngineHost):
    """AsyncTextToSpeech over a worker."""

    async def synthesize(self, text: str, *, voice: str | None, speed: float) -> Audio:
        """`text` as it sounds."""
        done = await self._ask(Synthesize(text=text, voice=voice, speed=speed).frame())
        return Synthesized.of(done).audio


def host_for(stage: Stage, settings: EngineSettings, models_dir: Path, *, on_change: Callable[[], None]) -> EngineHost:
    """The host of a stage's engine, not yet started."""
    hosts = {Stage.STT: SpeechToTextHost, Stage.LLM: LanguageModelHost, Stage.TTS: TextToSpeechHost}
    return hosts[stage](stage, settings, models_dir, on_change=on_change)


_stt: type[AsyncSpeechToText] = SpeechToTextHost
_llm: type[AsyncLanguageModel] = LanguageModelHost
_tts: type[AsyncTextToSpeech] = TextToSpeechHost
