"""What a host and its worker say to each other, one class a thing said: written as a frame, and read from one, here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, InstanceOf
from typing_extensions import Self

from agent.audio import Audio
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import Delta, Transcript
from agent.engines.frames import Frame, Kind
from agent.errors import EngineError


class _Said(BaseModel):
    """Base of what is said: its fields are the frame's."""

    model_config = ConfigDict(frozen=True)
    kind: ClassVar[Kind]

    def frame(self, call: int = 0) -> Frame:
        """As it travels."""
        return Frame(self.kind, call, self.model_dump(mode="json", exclude_defaults=True))

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """As it arrived."""
        return cls.model_validate(frame.fields, strict=False)


class _Sounding(_Said):
    """Base of what is said with sound: its samples are the frame's body."""

    audio: InstanceOf[Audio] = Field(exclude=True)

    def frame(self, call: int = 0) -> Frame:
        """As it travels."""
        samples = np.ascontiguousarray(self.audio.samples, dtype=np.float32)
        fields = {**self.model_dump(mode="json"), "sample_rate": self.audio.sample_rate}
        return Frame(self.kind, call, fields, samples.tobytes())

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """As it arrived."""
        fields = dict(frame.fields)
        audio = Audio(np.frombuffer(frame.body, dtype=np.float32), fields.pop("sample_rate"))
        return cls(audio=audio, **fields)


class Load(_Said):
    """The host's first word: which engine to be."""

    kind = Kind.LOAD
    name: str
    options: dict[str, Any]
    models_dir: Path
    template: str | None = None
    """How a conversation becomes a prompt; None leaves it to the engine."""


class Ready(_Said):
    """The worker's first word: what was loaded."""

    kind = Kind.READY
    info: EngineInfo
    slots: int
    """Calls it takes at once."""
    sessions: int = 0
    """Clips that it hears at once while they arrive, beside its calls."""
    memory_bytes: int | None


class Pong(_Said):
    """The answer to a ping."""

    kind = Kind.PONG
    memory_bytes: int | None


class Transcribe(_Sounding):
    """Call: what is said in `audio`? Answered by Transcribed."""

    kind = Kind.CALL
    language: str | None
    prompt: str


class Listen(_Said):
    """Call without a slot: what is said in the Feeds that follow? Answered by Transcribed once a bare FINISH came."""

    kind = Kind.LISTEN
    language: str | None
    prompt: str


class Feed(_Sounding):
    """The next piece of a clip that is heard while it arrives."""

    kind = Kind.FEED


class Transcribed(_Said):
    """What was heard."""

    kind = Kind.DONE
    transcript: Transcript


class Chat(_Said):
    """Call: how does the conversation, or the raw prompt, go on? Answered by Pieces, then a bare DONE."""

    kind = Kind.CALL
    asked: list[Message] | str
    sampling: Sampling


class Count(_Said):
    """Call without a slot: how many tokens has the conversation? Answered by Counted."""

    kind = Kind.COUNT
    asked: list[Message]


class Counted(_Said):
    """How many it has; None where the engine cannot tell."""

    kind = Kind.DONE
    tokens: int | None = None


class Piece(_Said):
    """The next piece of an answer."""

    kind = Kind.PIECE
    delta: Delta


class Synthesize(_Said):
    """Call: how does `text` sound? Answered by Synthesized."""

    kind = Kind.CALL
    text: str
    voice: str | None
    speed: float


class Synthesized(_Sounding):
    """How it sounds."""

    kind = Kind.DONE


class Failure(_Said):
    """Why a call, or loading, came to nothing."""

    kind = Kind.ERROR
    code: ErrorCode
    message: str
    reason: str | None = None
    field: str | None = None
    retriable: bool | None = None
    limit: float | None = None
    actual: float | None = None

    @classmethod
    def told(cls, exc: ContractError) -> Self:
        """The failure that `exc` is."""
        return cls(
            code=exc.code,
            message=exc.message,
            reason=exc.reason,
            field=exc.field,
            retriable=exc.retriable,
            limit=exc.limit,
            actual=exc.actual,
        )

    def error(self, stage: Stage) -> EngineError:
        """The failure as an error of the engine of `stage`."""
        return EngineError(stage, **dict(self))
