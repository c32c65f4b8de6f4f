"""The port to the agent: what the routes need of `agent.client.AgentClient`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol

from agent.client import AgentClient, AudioChunk
from agent.contract.admin import AdminRequest
from agent.contract.events import Event
from agent.contract.lookup import Found
from agent.contract.messages import Request
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.sessions import SessionCall
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation, Operation, Presence


class Agent(Protocol):
    """Whoever answers the questions; an async context, open while the bridge serves."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached."""

    @property
    def alive(self) -> bool:
        """Whether the connection is worked at, by a thread that lives."""

    @property
    def presence(self) -> Presence | None:
        """What the agent's status topic says; None until it said something."""

    @property
    def info(self) -> Info | None:
        """What the agent is and can do; None until it said so."""

    @property
    def templates(self) -> Mapping[str, Template]:
        """The agent's prompt templates by name, as far as it told them."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ask(
        self,
        request: Request,
        /,
        *,
        operation: Operation = ...,
        client: str | None = None,
        sent: Callable[[], None] = ...,
    ) -> Reply:
        """The terminal reply to `request`; raises ContractError or NoReply. `sent` is called once it is on its way."""

    def stream(
        self, request: Request, /, *, operation: Operation = ..., client: str | None = None, cancels: bool = True
    ) -> AsyncGenerator[Event | AudioChunk | Reply, None]:
        """What is heard of `request` while it goes on, its terminal reply last; raises like `ask`.

        Closed early, it cancels the run, or with `cancels` False lets it go on.
        """

    async def lookup(self, request_id: str, /, *, client: str | None = None) -> Found | None:
        """What became of a request; None where the agent does not know it. Raises ContractError or NoReply."""

    async def converse(self, asked: SessionCall, /, *, client: str | None = None) -> Reply:
        """The reply to a call about the client's conversations; raises like `ask`."""

    async def administer(self, operation: AdminOperation, asked: AdminRequest | None = None, /) -> Reply:
        """The reply to an operator's call; raises ContractError or NoReply."""

    def cancel(
        self,
        request_id: str,
        /,
        *,
        client: str | None = None,
        played_ms: int | None = None,
        last_seq: int | None = None,
    ) -> None:
        """Stops a request, of whose speech so much was played; whoever awaits it gets its terminal reply."""


_: type[Agent] = AgentClient
