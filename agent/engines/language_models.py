"""The language models of one agent: its own, and those that requests may name, loaded when they are wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from agent.contract.admin import ModelInfo
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import Stage
from agent.engines.base import ServedModel
from agent.engines.host import LanguageModelHost
from agent.engines.opening import Opener
from agent.engines.settings import LanguageModelSettings
from agent.errors import EngineError

logger = logging.getLogger(__name__)

_RETRY_AFTER_MS = 2_000
DEFAULT = "default"
"""The name of the agent's own model."""


@dataclass
class _Entry:
    """A model that may be asked for."""

    settings: LanguageModelSettings
    host: LanguageModelHost | None = None
    opening: asyncio.Task[LanguageModelHost] | None = None
    closing: asyncio.Task[None] | None = None


class LanguageModels:
    """Name → model; `default` is the one of requests that name none."""

    def __init__(
        self, own: LanguageModelSettings, registered: Mapping[str, LanguageModelSettings], opener: Opener
    ) -> None:
        self._opener = opener
        self._entries = {DEFAULT: _Entry(own), **{name: _Entry(each) for name, each in registered.items()}}

    async def load(self, name: str) -> LanguageModelHost:
        """The model `name`, loaded where it was not. EngineError: not_found, or why it cannot be loaded."""
        entry = self._entry(name)
        if entry.host:
            return entry.host
        if entry.opening is None:
            entry.opening = asyncio.create_task(self._open(name, entry), name=f"open[{name}]")
            entry.opening.add_done_callback(_seen)
        return await asyncio.shield(entry.opening)  # others may wait for it, too

    async def unload(self, name: str) -> None:
        """Gives the memory of model `name` back. ContractError: not_found, or busy while it answers."""
        entry = self._entry(name)
        if entry.opening or (entry.host and entry.host.wanted):
            doing = "being loaded" if entry.opening else "answering"
            message = f"the model {name} is {doing}; try again"
            raise ContractError(ErrorCode.BUSY, message, stage=Stage.LLM, retry_after_ms=_RETRY_AFTER_MS)
        if entry.host:
            entry.closing = asyncio.create_task(self._close(name, entry.host, entry), name=f"close[{name}]")
            entry.host = None
        if entry.closing:
            await asyncio.shield(entry.closing)

    async def get(self, name: str | None) -> ServedModel:
        """The model to ask; one that requests may name is loaded now where it was not."""
        name = name or DEFAULT
        entry = self._entry(name)
        while (host := entry.host) is None:
            try:
                await self.load(name)
            except EngineError as exc:
                raise _told(name, exc) from exc
        return ServedModel(host, entry.settings.system, entry.settings.sampling)

    async def close(self) -> None:
        """Ends every model's process."""
        opening = [entry.opening for entry in self._entries.values() if entry.opening]
        for task in opening:
            task.cancel()
        closing = [entry.closing for entry in self._entries.values() if entry.closing]
        await asyncio.gather(*opening, *closing, return_exceptions=True)
        await asyncio.gather(*(entry.host.close() for entry in self._entries.values() if entry.host))

    @property
    def own(self) -> LanguageModelHost | None:
        """The one of requests that name none, if it is loaded."""
        return self._entries[DEFAULT].host

    @property
    def names(self) -> tuple[str, ...]:
        """All that may be asked for."""
        return tuple(self._entries)

    @property
    def listing(self) -> list[ModelInfo]:
        """All that may be asked for, and how each fares."""
        return [
            ModelInfo(
                name=name,
                engine=entry.settings.name,
                loaded=entry.host is not None,
                info=entry.host.info if entry.host else None,
                state=entry.host.state if entry.host else None,
            )
            for name, entry in self._entries.items()
        ]

    async def _open(self, name: str, entry: _Entry) -> LanguageModelHost:
        try:
            if entry.closing:
                await entry.closing  # its memory is wanted
            entry.host = host = cast("LanguageModelHost", await self._opener.open(Stage.LLM, entry.settings))
        finally:
            entry.opening = None
        logger.info("model %s is loaded: %s", name, host.info.label)
        return host

    @staticmethod
    async def _close(name: str, host: LanguageModelHost, entry: _Entry) -> None:
        try:
            await host.close()
        finally:
            entry.closing = None
        logger.info("model %s is unloaded", name)

    def _entry(self, name: str) -> _Entry:
        if entry := self._entries.get(name):
            return entry
        known = ", ".join(self._entries)
        raise EngineError(Stage.LLM, f"no model {name!r}; there are {known}", code=ErrorCode.NOT_FOUND, field="model")


def _seen(opening: asyncio.Task[LanguageModelHost]) -> None:
    """Who waited has the failure, and where nobody waits any more it is nobody's concern."""
    if not opening.cancelled():
        opening.exception()


def _told(name: str, exc: EngineError) -> EngineError:
    """What a caller is told of a model that cannot be loaded: nothing of this machine's files."""
    if exc.reason == "out_of_memory":
        return exc
    logger.warning("model %s: %s", name, exc.message)
    which = "this agent has no engine for llm" if name == DEFAULT else f"the model {name} cannot be loaded"
    return EngineError(
        Stage.LLM, f"{which}; the agent's log says why", code=ErrorCode.MODEL_NOT_READY, reason=exc.reason
    )
