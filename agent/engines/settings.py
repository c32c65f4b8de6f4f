"""Which engine does a stage, and how its process is kept."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

AUTO = "auto"
"""Instead of an engine's name: the best that can be loaded here."""


class EngineSettings(BaseModel):
    """Which engine does a stage, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = AUTO
    """Engine; `auto` takes the best that is installed and has its model."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The engine's own options; `edgevoice settings` lists them."""
    load_timeout_s: float = Field(default=120.0, gt=0)
    """Longest time to load the model [s]; past it the engine's process is started anew."""
    hang_timeout_s: float = Field(default=60.0, gt=0)
    """Longest silence of a busy engine [s]; past it its process is started anew."""
    cancel_grace_s: float = Field(default=5.0, gt=0)
    """How long a cancelled call may go on [s]; past it the engine's process is started anew."""
    environment: dict[str, str] = Field(default_factory=lambda: {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"})
    """Environment of the engine's process, beside the agent's own."""
