"""A stand-in for the agent behind the broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from typing_extensions import Self

from agent.client import AudioChunk
from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError
from agent.contract.events import Event
from agent.contract.limits import Limits
from agent.contract.lookup import Found
from agent.contract.messages import Request
from agent.contract.presence import EngineInfo, Info
from agent.contract.reply import AudioBody, ErrorBody, Reply, TranscriptBody
from agent.contract.sessions import SessionCall
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation, Operation, Presence, RunState, Stage, Status
from bridge.agent import Agent

WAV_BASE64 = "UklGRg=="
INFO = Info(
    agent="orin",
    version="0",
    operations=["chat"],
    reply_modes=["text", "audio", "both"],
    audio_formats=["wav"],
    limits=Limits(max_deadline_ms=90_000),
    engines={Stage.LLM: EngineInfo(name="scripted", model="echo")},
)


class FakeAgent:
    """Echoes what it is asked, once `answers` is set; or raises or replies what the test wants."""

    def __init__(self) -> None:
        self.connected = True
        self.alive = True
        self.presence: Presence | None = Presence.ONLINE
        self.info: Info | None = INFO
        self.templates: dict[str, Template] = {}
        self.asked: list[Request] = []
        self.conversed: list[tuple[SessionCall, str | None]] = []
        self.operations: list[Operation] = []
        """What each of them is."""
        self.administered: list[tuple[AdminOperation, AdminRequest]] = []
        self.was_asked = asyncio.Semaphore(0)
        self.answers = asyncio.Event()
        self.answers.set()
        self.outcome: Reply | Exception | None = None
        self.parts: asyncio.Queue[Event | AudioChunk | Reply | Exception] = asyncio.Queue()
        """What is told of each run that is streamed."""
        self.streams: set[str | None] = set()
        """What is streamed just now."""
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.played: list[tuple[int | None, int | None]] = []
        """What was said to be played of them."""
        self.known: dict[tuple[str, str], Found] = {}
        """What a lookup finds, by client and id; what is asked is added."""
        self.is_open = False

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_open = False

    async def ask(
        self,
        request: Request,
        *,
        operation: Operation = Operation.CHAT,
        client: str | None = None,
        sent: Callable[[], None] = lambda: None,
    ) -> Reply:
        self.asked.append(request)
        self.operations.append(operation)
        self.was_asked.release()
        key = (str(client), str(request.id))
        if self.outcome is None:
            self.known.setdefault(key, Found(state=RunState.QUEUED, position=2, eta_ms=1_500))
        sent()
        await self.answers.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        reply = self.outcome or self._echo(request)
        self.known[key] = Found(state=RunState.DONE, reply=reply)
        return reply

    async def stream(
        self,
        request: Request,
        *,
        operation: Operation = Operation.CHAT,
        client: str | None = None,
        cancels: bool = True,
    ) -> AsyncGenerator[Event | AudioChunk | Reply, None]:
        assert not cancels
        self.asked.append(request)
        self.operations.append(operation)
        self.streams.add(request.id)
        self.was_asked.release()
        try:
            while True:
                part = await self.parts.get()
                if isinstance(part, Exception):
                    raise part
                yield part
                if isinstance(part, Reply):
                    return
        finally:
            self.streams.remove(request.id)

    async def lookup(self, request_id: str, *, client: str | None = None) -> Found | None:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.known.get((str(client), request_id))

    async def converse(self, asked: SessionCall, *, client: str | None = None) -> Reply:
        self.conversed.append((asked, client))
        return Reply(id="c", status=Status.OK, agent="orin", result={"sessions": []})

    async def administer(self, operation: AdminOperation, asked: AdminRequest | None = None) -> Reply:
        self.administered.append((operation, asked or AdminRequest()))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or Reply(id="a1", status=Status.OK, agent="orin", result={"models": []})

    def cancel(
        self,
        request_id: str,
        *,
        client: str | None = None,
        played_ms: int | None = None,
        last_seq: int | None = None,
    ) -> None:
        streamed = request_id in self.streams
        self.cancelled.put_nowait(f"{request_id}, still heard" if streamed else request_id)
        self.played.append((played_ms, last_seq))

    def _echo(self, request: Request) -> Reply:
        return Reply(
            id=str(request.id),
            status=Status.OK,
            reply_mode=request.reply_mode,
            text=f"{request.text or 'Grüße'}!",
            transcript=TranscriptBody(text="what was heard") if request.audio else None,
            audio=AudioBody(data=WAV_BASE64, sample_rate=8_000, duration_ms=1) if request.reply_mode.heard else None,
            agent="orin",
        )


def failed_reply(error: ContractError, status: Status = Status.ERROR, *, text: str | None = None) -> Reply:
    return Reply(id="r1", status=status, error=ErrorBody.of(error), text=text, agent="orin")


_: type[Agent] = FakeAgent
