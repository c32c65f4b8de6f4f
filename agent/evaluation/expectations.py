"""What a suite may expect of an answer."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from typing_extensions import Self

from agent.contract.errors import ErrorCode
from agent.contract.terms import FinishReason
from agent.contract.wire import WireModel


def _as_several(value: object) -> object:
    given = tuple(value) if isinstance(value, list) else (value,)
    for one in given:
        if not isinstance(one, str):
            raise ValueError(f"{one!r} is no text: put it in quotes")  # noqa: TRY004 - what pydantic turns into a fault
    return given


def _compiled(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as exc:
            raise ValueError(f"/{pattern}/ is no regular expression: {exc}") from exc
    return patterns


_Words = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[_Words, ...], BeforeValidator(_as_several)]
"""One, or a list of several."""
Patterns = Annotated[Texts, AfterValidator(_compiled)]
"""Regular expressions as Python has them: one, or a list of several."""


class Spoken(WireModel):
    """How well the answer's speech must be understood."""

    model_config = ConfigDict(extra="forbid")

    max_word_errors: float = Field(ge=0)
    """The most words inserted, dropped or replaced, as a share of those that were spoken."""


class Expectations(WireModel):
    """What must be so of an answer; what is left out, or false, may be as it likes."""

    model_config = ConfigDict(extra="forbid")

    contains: Texts = ()
    """All of these are in it."""
    contains_any: Texts = ()
    """One of these is in it."""
    not_contains: Texts = ()
    """None of these is in it."""
    equals: str | None = None
    """It is this, but for blanks at its ends."""
    regex: Patterns = ()
    """All of these match somewhere in it."""
    not_regex: Patterns = ()
    """None of these matches anywhere in it."""
    match_case: bool = False
    """All of these, and `heard`, tell `A` from `a`."""
    max_chars: int | None = Field(default=None, ge=0)
    """It has no more characters."""
    min_words: int | None = Field(default=None, ge=0)
    """It has at least so many words."""
    max_words: int | None = Field(default=None, ge=0)
    """It has no more words."""
    is_json: bool = Field(default=False, alias="json")
    """All of it is JSON."""
    no_loop: bool = False
    """It does not go in a circle: neither was it cut off for that, nor does it now."""
    finish_reason: FinishReason | None = None
    """Why it ended."""
    max_ms: int | None = Field(default=None, ge=0)
    """It was there within this time, as the caller has it [ms]."""
    heard: Texts = ()
    """All of these are in what was understood of a spoken question."""
    spoken: Spoken | None = None
    """Its speech, sent back to be transcribed, is understood so well."""
    error: ErrorCode | None = None
    """There is none, but this error."""

    def over(self, base: Expectations) -> Self:
        """What is said here, and where nothing is, what `base` says."""
        unsaid = base.model_fields_set - self.model_fields_set
        return self.model_copy(update={name: getattr(base, name) for name in unsaid})
