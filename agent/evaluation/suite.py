"""A suite: questions, what is expected of their answers, and the configurations to ask them in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, model_validator
from typing_extensions import Self

from agent.contract.base64 import encode_base64
from agent.contract.messages import Request, Text
from agent.contract.terms import Id
from agent.contract.wire import WireModel
from agent.evaluation.expectations import Expectations

_OURS = frozenset({"v", "id", "session_id", "text", "reply_to", "priority", "barge_in", "stream", "metadata"})
"""Fields of a request that every question gets from us, or none does."""
_QUESTION = frozenset({"audio", "messages"})


def _file(name: str, info: ValidationInfo) -> str:
    path: Path = (info.context or {}).get("folder", Path()) / name
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    if not path.stat().st_size:
        raise ValueError(f"the file {path} is empty")
    return str(path)


class Manner(Request):
    """How questions are asked: a request without its question."""

    closed: ClassVar[frozenset[str]] = _OURS | _QUESTION
    """Fields of a request that must not be given here."""

    @model_validator(mode="after")
    def _gives_what_is_its_own(self) -> Self:
        if strangers := sorted(self.model_fields_set & self.closed):
            raise ValueError(f"{strangers[0]} cannot be given here; leave it out")
        return self

    @property
    def manner(self) -> dict[str, Any]:
        """The fields that are given, but for the question's own."""
        return self.model_dump(exclude_unset=True, include=Request.model_fields.keys() - _OURS - _QUESTION)


class Turn(Manner):
    """One question, and what is expected of its answer: exactly one of `ask`, `audio` and `messages`."""

    closed: ClassVar[frozenset[str]] = _OURS

    ask: Text | None = None
    """The question, typed."""
    audio: Annotated[str, AfterValidator(_file)] | None = None
    """The question, spoken: a WAV file, as seen from the suite's own folder."""
    expect: Expectations = Expectations()
    """What must be so of the answer."""

    @model_validator(mode="after")
    def _asks_once(self) -> Self:
        if len(self.asked) != 1:
            raise ValueError(f"exactly one of {', '.join(self._ways())} is needed")
        if self.expect.heard and self.ask:
            raise ValueError("expect.heard is for spoken questions; this one is typed")
        return self

    @property
    def asked(self) -> list[str]:
        """Which of the ways to ask are used."""
        return [way for way in self._ways() if getattr(self, way)]

    @property
    def question(self) -> dict[str, Any]:
        """The question, as a request has it. OSError where its file cannot be read."""
        if self.audio:
            return {"audio": encode_base64(Path(self.audio).read_bytes())}
        return {"messages": self.messages} if self.messages else {"text": self.ask}

    @property
    def words(self) -> str:
        """The question, for people."""
        if self.messages:
            return self.messages[-1].content
        return self.ask or Path(self.audio or "").name

    @classmethod
    def _ways(cls) -> tuple[str, ...]:
        return ("ask", "audio", "messages")


class Question(Turn):
    """One turn, or in place of it a `conversation` of several."""

    name: str | None = Field(default=None, min_length=1)
    """What reports call it; its words when left out."""
    conversation: tuple[Turn, ...] = ()
    """Asked one after the other, each knowing those before."""

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or self.turns[0].words

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What is asked, one after the other."""
        return self.conversation or (self,)

    @classmethod
    def _ways(cls) -> tuple[str, ...]:
        return (*super()._ways(), "conversation")


class Suite(WireModel):
    """Questions, and how to ask them: each layer goes over the one before, field by field.

    The layers are `defaults`, the configuration, the question, and the turn of its conversation.
    """

    model_config = ConfigDict(extra="forbid")

    defaults: Manner = Manner()
    """How every question is asked."""
    configurations: dict[Id, Manner] = Field(default_factory=dict)
    """What differs in each of the configurations that are compared."""
    expect: Expectations = Expectations()
    """What must be so of every answer, where its question does not say otherwise."""
    questions: tuple[Question, ...] = Field(min_length=1)
    """What is asked."""

    def manner(self, configuration: str, question: Question, turn: Turn) -> dict[str, Any]:
        """How `turn` of `question` is asked in a configuration: the fields of a request that are given."""
        layers = (self.defaults, self.configurations.get(configuration, Manner()), question, turn)
        return reduce(_merged, (layer.manner for layer in layers))

    def expected(self, question: Question, turn: Turn) -> Expectations:
        """What must be so of the answer to `turn` of `question`."""
        return turn.expect.over(question.expect).over(self.expect)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below`, but for what `above` says; objects within them likewise."""
    both = {**below, **above}
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            both[name] = _merged(below[name], value)
    return both
