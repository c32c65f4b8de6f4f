"""Broker, agent and bridge as processes of ours: for `edgevoice up`, the demo, tests and benchmarks."""

from __future__ import annotations

from agent.stack.settings import DEMO_USER, Part, StackSettings
from agent.stack.stack import Stack

__all__ = ["DEMO_USER", "Part", "Stack", "StackSettings"]
