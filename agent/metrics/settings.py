"""Where Prometheus finds the agent's metrics."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MetricsSettings(BaseModel):
    """Where Prometheus finds the agent's metrics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(default=0, ge=0, le=65_535)
    """TCP port on which `/metrics` is served; 0 for none."""
    host: str = "127.0.0.1"
    """Address to serve it on. It needs no password, and tells of no caller."""
