"""What is kept of questions and answers, and where."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.optional_file import OptionalFile

Redact = Literal["none", "text", "pii"]
"""What is left out."""


class InteractionsSettings(BaseModel):
    """What is kept of questions and answers, for later analysis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: OptionalFile = None
    """File to which each finished request adds a line of JSON: who asked what, and the answer; none when left out."""
    redact: Redact = "none"
    """Leave the texts out (`text`), or mask e-mail addresses, phone and card numbers in them (`pii`)."""
    max_bytes: int = Field(default=10_000_000, ge=10_000)
    """Size at which a new file is begun [bytes]; three older ones are kept beside it."""
