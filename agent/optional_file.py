"""A file that a setting may name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

OptionalFile = Annotated[Path | None, BeforeValidator(lambda name: name or None)]
"""One that may be left out, also by an empty name, as `.env.template` has it."""
