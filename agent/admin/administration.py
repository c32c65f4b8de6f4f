"""What operators may have done: one method an operation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from agent.contract.admin import AdminRequest, Health, ModelList
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.presence import Info, State
from agent.contract.terms import AdminOperation, Phase
from agent.contract.wire import WireModel
from agent.engines.language_models import LanguageModels
from agent.memory import available_bytes


class Administration:
    """The agent, as its operators may change it."""

    def __init__(
        self, models: LanguageModels, *, info: Callable[[], Info], state: Callable[[], State], stop: asyncio.Event
    ) -> None:
        """`stop` set: the agent finishes what it has and ends."""
        self._models = models
        self._info = info
        self._state = state
        self._stop = stop
        self._born = time.monotonic()

    @property
    def actions(self) -> Mapping[AdminOperation, Callable[[AdminRequest], Awaitable[WireModel]]]:
        """Operation → what does it."""
        return {
            AdminOperation.HEALTH: self.health,
            AdminOperation.MODELS_LIST: self.list_models,
            AdminOperation.MODELS_LOAD: self.load_model,
            AdminOperation.MODELS_UNLOAD: self.unload_model,
            AdminOperation.DRAIN: self.drain,
        }

    async def health(self, _: AdminRequest) -> Health:
        """How the agent fares."""
        return Health(
            info=self._info(),
            state=self._state(),
            models=self._models.listing,
            uptime_s=round(time.monotonic() - self._born, 1),
            available_bytes=available_bytes(),
        )

    async def list_models(self, _: AdminRequest) -> ModelList:
        """The language models."""
        return ModelList(models=self._models.listing)

    async def load_model(self, asked: AdminRequest) -> ModelList:
        """Returns once the model answers. EngineError says why it cannot."""
        await self._models.load(_name(asked))
        return await self.list_models(asked)

    async def unload_model(self, asked: AdminRequest) -> ModelList:
        """Gives the model's memory back. EngineError(busy) while it answers."""
        await self._models.unload(_name(asked))
        return await self.list_models(asked)

    async def drain(self, asked: AdminRequest) -> Health:
        """Lets the agent end as at SIGTERM, which the service manager answers with a new one.

        ContractError(model_not_ready) while it starts: the broker may have kept the call for the one before.
        """
        if self._state().phase is Phase.STARTING:
            message = "the agent is starting; ask again once it is online"
            raise ContractError(ErrorCode.MODEL_NOT_READY, message, retry_after_ms=2_000)
        self._stop.set()
        return await self.health(asked)


def _name(asked: AdminRequest) -> str:
    if asked.model is None:
        raise ContractError(ErrorCode.BAD_REQUEST, "name the model in `model`", field="model")
    return asked.model
