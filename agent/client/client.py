"""The requester's side of the contract: ask, await the one reply, cancel, look up. Bridge and commands use it too."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial

from typing_extensions import Self

from agent.client.calls import Calls
from agent.client.exchange import Exchange
from agent.client.following import follow
from agent.client.listeners import AudioChunk, Listener, Listeners
from agent.client.names import Names
from agent.client.publications import in_json
from agent.client.questions import Question, check_reply_to
from agent.client.reach import Reach
from agent.client.templates import Templates
from agent.client.upload import Upload
from agent.contract.admin import AdminRequest
from agent.contract.events import Event
from agent.contract.lookup import Found
from agent.contract.messages import Cancel, Request, StreamOptions, UploadStart
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.sessions import SessionCall
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation, Operation, Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Subscription
from agent.mqtt.settings import MqttSettings

_ADMIN_TIMEOUT_S = 1_800.0


def _nothing() -> None:
    """Is done."""


class AgentClient:
    """One connection, any number of requests at once, in the name of one client or of several.

    A request is one request however often it is sent: a copy goes out when the agent is back, and by and by where
    nothing is heard, until its deadline. Broker and agent may be killed meanwhile; the caller sees one reply.
    """

    def __init__(self, mqtt: MqttSettings, *, topics: Topics, client: str, templates: bool = False) -> None:
        """`client` is the level of the topics that the broker lets this user write and read: its user name.

        With `templates`, the agent's prompt templates are heard, too.
        """
        self._topics = topics
        self._client = client
        self._exit = AsyncExitStack()
        self._mqtt = MqttClient(
            mqtt,
            client_id=f"edgevoice-{client}-{uuid.uuid4().hex[:8]}",
            on_message=self._on_message,
            subscriptions=(
                Subscription(topics.all_replies(client)),
                *((Subscription(topics.all_templates, retained=True),) if templates else ()),  # before the info
                Subscription(topics.info, retained=True),  # before the status: who is online has said what it can
                Subscription(topics.status, retained=True),
            ),
        )
        self._reach = Reach(self._mqtt, topics)
        self._names = Names(client, self._mqtt, self._reach, topics)
        self._exchange = Exchange(self._mqtt.publish, judge=self._reach.judge)
        self._calls = Calls(self._exchange, self._names, topics)
        self._listeners = Listeners(topics)
        self._templates = Templates(topics)

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self._mqtt)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._exit.aclose()
        self._exchange.close()

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached."""
        return self._mqtt.connected

    @property
    def alive(self) -> bool:
        """Whether the connection is worked at, by a thread that lives."""
        return self._mqtt.alive

    @property
    def presence(self) -> Presence | None:
        """What the agent's status topic says; None until it said something."""
        return self._reach.presence

    @property
    def info(self) -> Info | None:
        """What the agent is and can do; None until it said so."""
        return self._reach.info

    @property
    def templates(self) -> Mapping[str, Template]:
        """The agent's prompt templates by name, as far as it told them, and they are listened for."""
        return self._templates.known

    async def online(self, timeout_s: float) -> None:
        """Returns once the agent says it is online. ContractError: broker_unavailable or agent_offline."""
        await self._reach.online(timeout_s)

    async def ask(
        self,
        request: Request,
        *,
        operation: Operation = Operation.CHAT,
        client: str | None = None,
        sent: Callable[[], None] = _nothing,
    ) -> Reply:
        """The terminal reply to `request`, whatever its status; the same id asked twice at once is asked once.

        `sent` is called once it is on its way: what is sent after that arrives after it. Raises ContractError
        (agent_offline, broker_unavailable, payload_too_large) where it cannot be asked, NoReply where nothing is heard
        a second past its deadline. A request without a deadline gets 60 s.
        """
        question = await self._question(request, operation, client)
        with self._exchange.asking(question.key, question.publication) as reply:
            sent()
            return await reply(question.wait_s)

    async def stream(
        self,
        request: Request,
        *,
        operation: Operation = Operation.CHAT,
        client: str | None = None,
        cancels: bool = True,
    ) -> AsyncGenerator[Event | AudioChunk | Reply, None]:
        """What is told of `request` while it goes on, as it arrives, and last, once, its terminal reply.

        Asks as `ask` does, and raises the same; a request that does not say what it wants to hear of is told events.
        Events come in the order of `seq`, which may have gaps, chunks in the order of their numbers, and none twice;
        where the agent is killed, events begin again with `accepted`. A chunk that is missing is waited for half a
        second. Whoever is slow gets the text in larger pieces. What another caller here asks already is told as that
        one wanted it. To close the generator before its end cancels the run, unless another caller here waits for it;
        with `cancels` False it goes on.
        """
        request = request.model_copy(update={"stream": request.stream or StreamOptions()})
        question = await self._question(request, operation, client)
        abandon = partial(self.cancel, question.key[1], client=question.key[0]) if cancels else _nothing
        async with aclosing(follow(question, self._exchange, self._listeners, abandon=abandon)) as parts:
            async for part in parts:
                yield part

    @asynccontextmanager
    async def upload(
        self, start: UploadStart, *, client: str | None = None, listener: Listener | None = None
    ) -> AsyncIterator[Upload]:
        """A clip that is sent while it is being recorded; left before its reply, it is cancelled.

        `listener` hears of its run what `start` asks for. Raises ContractError where it cannot be asked.
        """
        check_reply_to(start)
        key = (await self._names.may_ask(client), start.id or uuid.uuid4().hex)
        upload = Upload(
            start,
            key,
            topics=self._topics,
            publish=self._mqtt.publish,
            exchange=self._exchange,
            lookup=lambda: self.lookup(key[1], client=key[0]),
            cancel=lambda: self.cancel(key[1], client=key[0]),
            listener=listener,
        )
        with self._listeners.attend(key, upload):
            async with upload:
                yield upload

    async def lookup(self, request_id: str, *, client: str | None = None) -> Found | None:
        """What became of a request, whoever sent it in the name of `client`; None where the agent does not know it.

        Raises ContractError where it cannot be asked or the agent refuses, NoReply where nothing is heard within 10 s.
        """
        return await self._calls.lookup(request_id, client)

    async def converse(self, asked: SessionCall, *, client: str | None = None) -> Reply:
        """The reply to a call about conversations of the client's.

        Raises ContractError where it cannot be made, NoReply where nothing is heard.
        """
        return await self._calls.converse(asked, client)

    async def administer(
        self, operation: AdminOperation, asked: AdminRequest | None = None, *, timeout_s: float = _ADMIN_TIMEOUT_S
    ) -> Reply:
        """The reply to an operator's call; ContractError(forbidden) where the broker does not let this user make it.

        NoReply where nothing is heard within `timeout_s`, which on MQTT 3.1.1 may mean the same.
        """
        return await self._calls.administer(operation, asked or AdminRequest(), timeout_s)

    def cancel(
        self,
        request_id: str,
        *,
        client: str | None = None,
        played_ms: int | None = None,
        last_seq: int | None = None,
    ) -> None:
        """Stops a request; whoever awaits it gets its terminal reply, `cancelled`.

        Its `heard_text` goes as far as the answer was played: so many milliseconds, or to the end of that chunk.
        """
        client = client or self._client
        self._exchange.give_up((client, request_id))
        topic = self._topics.request(client, Operation.CANCEL)
        self._mqtt.publish(in_json(topic, Cancel(id=request_id, played_ms=played_ms, last_seq=last_seq)))

    async def _question(self, request: Request, operation: Operation, client: str | None) -> Question:
        """`request` as it is sent, once it can be asked."""
        client = await self._names.may_ask(client)
        limits = self.info.limits if self.info else None
        return Question.of(request, operation, client, topics=self._topics, limits=limits)

    def _on_message(self, message: Message) -> None:
        if key := self._topics.parse_reply(message.topic):
            self._exchange.hear(key, message)
        elif self._reach.hear(message):
            # It is online. That comes, retained, also whenever we connect again: a broker that lost its memory lost
            # what it had confirmed.
            self._exchange.again()
        elif not self._templates.hear(message):
            self._listeners.hear(message)
