"""Memory for engines: who would not fit is not loaded, before the system runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.engines.settings import MemorySettings
from agent.errors import EngineError
from agent.memory import available_bytes

_MIB = 1 << 20


class MemoryBudget:
    """What is left for engines, those that are being loaded at this moment counted in."""

    def __init__(self, settings: MemorySettings, *, available: Callable[[], int | None] = available_bytes) -> None:
        self._settings = settings
        self._available = available
        self._promises: dict[object, tuple[int, int]] = {}
        """For each engine being loaded: what it needs, and what was available when it began [bytes]."""

    @contextmanager
    def room(self, stage: Stage, name: str, needs_bytes: int) -> Iterator[None]:
        """Keeps `needs_bytes` for the engine `name` while it loads; EngineError, with the numbers, where they lack."""
        available = self._available()
        if self._settings.check and available is not None:
            promised = self._promised(available)
            left = available - promised - self._settings.reserve_bytes
            if needs_bytes > left:
                raise EngineError(
                    stage,
                    f"{name} needs about {needs_bytes // _MIB} MiB; {max(0, left) // _MIB} MiB are left"
                    f" ({available // _MIB} available, {promised // _MIB} promised to engines being loaded,"
                    f" {self._settings.reserve_bytes // _MIB} kept free by memory.reserve_bytes);"
                    " unload a model or take a smaller one",
                    code=ErrorCode.MODEL_NOT_READY,
                    reason="out_of_memory",
                    limit=max(0, left),
                    actual=needs_bytes,
                )
        promise = object()
        self._promises[promise] = (needs_bytes, available or 0)
        try:
            yield
        finally:
            del self._promises[promise]

    def _promised(self, available: int) -> int:
        """What those being loaded have not taken yet."""
        return sum(max(0, needs - max(0, before - available)) for needs, before in self._promises.values())
