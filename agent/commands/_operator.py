"""What an operator has an agent do with its prompt templates, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.client import AgentClient, NoReply
from agent.commands import CommandError
from agent.commands._broker import client_of
from agent.contract.admin import AdminRequest
from agent.contract.catalogue import Rendered, StoredTemplate, TemplateList
from agent.contract.errors import ContractError
from agent.contract.terms import AdminOperation, Status
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings

_TIMEOUT_S = 10.0


class Operator:
    """An operator's connection to one agent; what the agent refuses is a ContractError."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client

    async def listed(self) -> TemplateList:
        """All templates."""
        found = await self._result(AdminOperation.TEMPLATES_LIST, AdminRequest())
        return TemplateList.model_validate(found, strict=False)

    async def stored(self, operation: AdminOperation, asked: AdminRequest) -> StoredTemplate:
        """The template that a call is about, as it is afterwards."""
        return StoredTemplate.model_validate(await self._result(operation, asked), strict=False)

    async def rendered(self, asked: AdminRequest) -> Rendered:
        """What the model would be asked."""
        return Rendered.model_validate(await self._result(AdminOperation.TEMPLATES_RENDER, asked), strict=False)

    async def _result(self, operation: AdminOperation, asked: AdminRequest) -> object:
        reply = await self._client.administer(operation, asked, timeout_s=_TIMEOUT_S)
        if reply.status is not Status.OK and reply.error:
            raise ContractError(**reply.error.model_dump())
        return reply.result


async def as_operator(mqtt: MqttSettings, topics: Topics, work: Callable[[Operator], Awaitable[None]]) -> None:
    """Does `work` as the broker user of `mqtt`. CommandError where nothing is heard of the agent."""
    try:
        async with client_of(mqtt, topics) as client:
            await work(Operator(client))
    except NoReply as exc:  # which is how MQTT 3.1.1 says that one may not
        raise CommandError(f"{exc}; perhaps {mqtt.username} is no operator") from exc
