"""Engines."""

from mlc_llm.serve.config import EngineConfig
from mlc_llm.serve.engine import AsyncMLCEngine

__all__ = ["AsyncMLCEngine", "EngineConfig"]
