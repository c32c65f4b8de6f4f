"""The ports of the engines: what a leaf implements inside its worker, and what the pipeline sees through a host.

A leaf is plain code over one library. Its module imports without the library; its constructor imports it, loads the
model and raises EngineError where it cannot. Its work raises EngineError too, with `from exc`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from agent.audio import Audio
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason

TELLING_PREFILL_TOKENS = 16
"""A prompt of fewer new tokens is read too fast to tell how fast."""

UNREACHABLE = "unreachable"
"""Reason of an EngineError: the server behind the engine is not there, and may be later."""

CancelFlag = Callable[[], bool]
"""True once nobody wants the answer any more; looked at between pieces of work."""


class EngineOptions(BaseModel):
    """Base of a leaf's own settings: a field it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def not_installed(package: str, *, extra: str) -> str:
    """Why a leaf is `missing` whose Python package is not there, and what would help."""
    return f"{package} is not installed; `pip install 'edgevoice[{extra}]'` brings it"


def all_cores_but_one() -> int:
    """Threads for heavy work; the one is for the agent, the broker and whoever waits for them."""
    return max(1, (os.cpu_count() or 2) - 1)


@dataclass(frozen=True)
class Segment:
    """A stretch of what was heard."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Transcript:
    """What was heard; `text` is empty where nothing was."""

    text: str
    language: str | None = None
    language_probability: float | None = None
    """0 to 1; only where the language was not given."""
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Delta:
    """The next piece of an answer; the last one also says why it ended and what it took."""

    text: str = ""
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prefill_tok_s: float | None = None
    decode_tok_s: float | None = None


class Engine(Protocol):
    """What every leaf has, whatever its stage."""

    Options: ClassVar[type[EngineOptions]]
    """Its settings, each with unit, default and meaning."""

    def __init__(self, options: Any, models_dir: Path) -> None:
        """Imports the library and loads the model. `options` is an instance of the leaf's `Options`."""

    @classmethod
    def missing(cls, options: Any, models_dir: Path) -> str | None:
        """Why it could not be loaded here (library, model), and what would help; None if it can. Loads nothing."""

    @classmethod
    def needs_bytes(cls, options: Any, models_dir: Path) -> int:
        """Memory that its process will hold once loaded, as far as files and options tell; 0 where they do not."""

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""

    def close(self) -> None:
        """Gives everything back."""


class SpeechToText(Engine, Protocol):
    """Turns speech into text; one call at a time."""

    one_core: ClassVar[bool]
    """Whether it computes on one core only, so that on a larger machine a second process of it helps."""

    def transcribe(self, audio: Audio, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Transcript:
        """What is said in `audio`, of any rate; `language` None lets the engine find out.

        `prompt`: words that are likely in it; an engine that cannot use them passes over them.
        """


class Listening(Protocol):
    """A clip that is heard while it arrives; not used any more once it failed."""

    def feed(self, audio: Audio) -> None:
        """Hears the next piece, at the rate of those before."""

    def finish(self) -> Transcript:
        """What is said in all of it, once there is no more to come."""

    def close(self) -> None:
        """Gives back what the clip held, at any moment; to be called once."""


class LiveSpeechToText(SpeechToText, Protocol):
    """Hears clips while they arrive, too; several of them and whole clips in turns."""

    sessions: int
    """Clips that may be arriving at once; 0 where it is to hear whole ones only."""

    def listen(self, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Listening:
        """Begins to hear a clip; everything as for a whole one."""


class LanguageModel(Engine, Protocol):
    """Answers a conversation; as many at once as it has slots."""

    slots: int
    """Conversations it answers at once."""

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces; the last has a finish_reason. Closing the iterator ends the engine's work."""

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, byte for byte as it is given: no template, no system message. Else like `chat`."""

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """The tokens that the conversation, or the prompt, has as this model reads it; None where it cannot tell.

        Takes no slot, and never fewer than there are.
        """


class TextToSpeech(Engine, Protocol):
    """Turns text into speech; one call at a time."""

    one_core: ClassVar[bool]
    """Whether it computes on one core only, so that on a larger machine a second process of it helps."""

    def synthesize(self, text: str, *, voice: str | None, speed: float, cancelled: CancelFlag) -> Audio:
        """`text` as it sounds, in the engine's own rate. An unknown voice is EngineError(not_found)."""


class AsyncEngine(Protocol):
    """What the pipeline sees of every engine."""

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""


class AsyncListening(Protocol):
    """Listening as the pipeline sees it."""

    def feed(self, audio: Audio) -> None:
        """Hands over the next piece, at the rate of those before; neither waits nor fails."""

    async def finish(self) -> Transcript:
        """What is said in all that was fed; EngineError where any of it could not be heard. To be called once."""

    def close(self) -> None:
        """Ends the engine's work; at any moment, also after `finish`, and more than once."""


class AsyncSpeechToText(AsyncEngine, Protocol):
    """SpeechToText as the pipeline sees it: cancelling the call ends the engine's work."""

    async def transcribe(self, audio: Audio, *, language: str | None, prompt: str) -> Transcript:
        """What is said in `audio`."""

    async def listen(self, *, language: str | None, prompt: str) -> AsyncListening | None:
        """Begins to hear a clip that is still arriving; the caller closes what it gets.

        None, without waiting, where the engine hears whole clips only, is not ready, or hears as many as it can.
        """


class AsyncLanguageModel(AsyncEngine, Protocol):
    """LanguageModel as the pipeline sees it: closing the iterator ends the engine's work."""

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces; the last has a finish_reason."""

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is."""

    async def count(self, messages: Sequence[Message]) -> int | None:
        """The tokens that the conversation has as this model reads it; None where it cannot tell."""


@dataclass(frozen=True)
class ServedModel:
    """A language model as it is to be asked."""

    engine: AsyncLanguageModel
    system: str | None = None
    """Instruction to this model; None where it is the agent's."""
    sampling: Sampling = field(default_factory=Sampling)
    """How this model picks its words, where a request does not say; what is left out is the agent's."""


class AsyncTextToSpeech(AsyncEngine, Protocol):
    """TextToSpeech as the pipeline sees it: cancelling the call ends the engine's work."""

    async def synthesize(self, text: str, *, voice: str | None, speed: float) -> Audio:
        """`text` as it sounds."""
