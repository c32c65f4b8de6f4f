"""The requester's side of the contract: ask, await the one reply, cancel, look up. Bridge and commands use it too."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack

from typing_extensions import Self

from agent.client.exchange import Exchange
from agent.client.publications import check_size, in_json, marked
from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.lookup import Found
from agent.contract.messages import Cancel, Lookup, Request
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import AdminOperation, Operation, Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import (
    BrokerUnavailable,
    Delivery,
    Message,
    Subscription,
    SubscriptionRefused,
)
from agent.mqtt.settings import MqttSettings

_CONNECT_PATIENCE_S = 3.0
_SILENCE_AFTER_DEADLINE_S = 1.0
_LOOKUP_TIMEOUT_S = 10.0
_ADMIN_TIMEOUT_S = 1_800.0


class AgentClient:
    """One connection, any number of requests at once, in the name of one client or of several.

    A request is one request however often it is sent: a copy goes out when the agent is back, and by and by where
    nothing is heard, until its deadline. Broker and agent may be killed meanwhile; the caller sees one reply.
    """

    def __init__(self, mqtt: MqttSettings, *, topics: Topics, client: str) -> None:
        """`client` is the level of the topics that the broker lets this user write and read: its user name."""
        self._topics = topics
        self._client = client
        self._online = asyncio.Event()
        self._heard = {client}
        self._exit = AsyncExitStack()
        self._mqtt = MqttClient(
            mqtt,
            client_id=f"edgevoice-{client}-{uuid.uuid4().hex[:8]}",
            on_message=self._on_message,
            subscriptions=(
                Subscription(topics.all_replies(client)),
                Subscription(topics.info, retained=True),  # before the status: who is online has said what it can
                Subscription(topics.status, retained=True),
            ),
        )
        self._exchange = Exchange(self._mqtt.publish, judge=self._judge)
        self.presence: Presence | None = None
        """What the agent's status topic says; None until it said something."""
        self.info: Info | None = None
        """What the agent is and can do; None until it said so."""

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

    async def online(self, timeout_s: float) -> None:
        """Returns once the agent says it is online. ContractError: broker_unavailable or agent_offline."""
        await self._connected(timeout_s)
        try:
            await asyncio.wait_for(self._online.wait(), timeout_s)
        except asyncio.TimeoutError as exc:
            raise self._offline() from exc

    async def hear(self, client: str) -> None:
        """From now on, replies to `client` are heard too; ContractError: broker_unavailable, or forbidden by its ACL.

        Mosquitto's way to forbid is to let us hear nothing; what is asked then is `forbidden`, on MQTT 3.1.1 silence.
        """
        if client in self._heard:
            return
        await self._connected(_CONNECT_PATIENCE_S)
        try:
            granted = self._mqtt.subscribe(Subscription(self._topics.all_replies(client)))
            await asyncio.wait_for(granted, _CONNECT_PATIENCE_S)
        except asyncio.TimeoutError as exc:
            raise ContractError(ErrorCode.BROKER_UNAVAILABLE, "the broker does not answer") from exc
        except SubscriptionRefused as exc:
            raise ContractError(ErrorCode.FORBIDDEN, str(exc)) from exc
        self._heard.add(client)

    async def ask(
        self,
        request: Request,
        *,
        operation: Operation = Operation.CHAT,
        client: str | None = None,
        sent: Callable[[], None] = lambda: None,
    ) -> Reply:
        """The terminal reply to `request`, whatever its status; the same id asked twice at once is asked once.

        `sent` is called once it is on its way: what is sent after that arrives after it. Raises ContractError
        (agent_offline, broker_unavailable, payload_too_large) where it cannot be asked, NoReply where nothing is heard
        a second past its deadline. A request without a deadline gets 60 s.
        """
        if request.reply_to:
            raise ContractError(ErrorCode.BAD_REQUEST, "reply_to is the client's to choose", field="reply_to")
        request_id = request.id or uuid.uuid4().hex
        deadline_ms = request.deadline_ms or DEFAULT_DEADLINE_MS
        request = request.model_copy(update={"id": request_id, "deadline_ms": deadline_ms})
        client = await self._may_ask(client)
        publication = marked(self._topics.request(client, operation), request)
        if self.info:
            check_size(request, publication, self.info.limits.max_message_bytes)
        self._exchange.send((client, request_id), publication)
        sent()
        wait_s = deadline_ms / 1_000 + _SILENCE_AFTER_DEADLINE_S
        return await self._exchange.reply((client, request_id), wait_s)

    async def lookup(self, request_id: str, *, client: str | None = None) -> Found | None:
        """What became of a request, whoever sent it in the name of `client`; None where the agent does not know it.

        Raises ContractError where it cannot be asked or the agent refuses, NoReply where nothing is heard within 10 s.
        """
        client = await self._may_ask(client)
        asked = Lookup(id=uuid.uuid4().hex, request_id=request_id)
        key = (client, str(asked.id))
        self._exchange.send(key, in_json(self._topics.request(client, Operation.LOOKUP), asked))
        reply = await self._exchange.reply(key, _LOOKUP_TIMEOUT_S)
        if reply.error and reply.error.code is ErrorCode.NOT_FOUND:
            return None
        if reply.error:
            raise ContractError(**reply.error.model_dump())
        return Found.model_validate(reply.result, strict=False)

    async def administer(
        self, operation: AdminOperation, *, model: str | None = None, timeout_s: float = _ADMIN_TIMEOUT_S
    ) -> Reply:
        """The reply to an operator's call; ContractError(forbidden) where the broker does not let this user make it.

        NoReply where nothing is heard within `timeout_s`, which on MQTT 3.1.1 may mean the same.
        """
        client = await self._may_ask(None)
        asked = AdminRequest(id=uuid.uuid4().hex, model=model)
        key = (client, str(asked.id))
        self._exchange.send(key, in_json(self._topics.admin(client, operation), asked), repeatable=False)
        return await self._exchange.reply(key, timeout_s)

    def cancel(self, request_id: str, *, client: str | None = None) -> None:
        """Stops a request; whoever awaits it gets its terminal reply, `cancelled`."""
        client = client or self._client
        self._exchange.give_up((client, request_id))
        topic = self._topics.request(client, Operation.CANCEL)
        self._mqtt.publish(in_json(topic, Cancel(id=request_id)))

    async def _may_ask(self, client: str | None) -> str:
        """The client in whose name to ask, once that can be done."""
        await self._connected(_CONNECT_PATIENCE_S)
        if self.presence is Presence.OFFLINE:
            raise self._offline()
        client = client or self._client
        await self.hear(client)
        return client

    def _judge(self, client: str, delivery: Delivery) -> ContractError | None:
        if delivery is Delivery.NO_SUBSCRIBERS and not self._online.is_set():
            return self._offline()  # else it was there a moment ago, and is asked again when it is back
        if delivery is Delivery.REFUSED:
            return ContractError(ErrorCode.FORBIDDEN, f"the broker does not let {client!r} ask; see its ACL")
        return None

    async def _connected(self, timeout_s: float) -> None:
        try:
            await self._mqtt.wait_connected(timeout_s)
        except BrokerUnavailable as exc:
            raise ContractError(ErrorCode.BROKER_UNAVAILABLE, str(exc)) from exc

    def _offline(self) -> ContractError:
        return ContractError(
            ErrorCode.AGENT_OFFLINE, f"the agent {self._topics.agent!r} is not online", retry_after_ms=2_000
        )

    def _on_message(self, message: Message) -> None:
        if message.topic == self._topics.status:
            self._on_status(Presence(message.payload.decode()))
        elif message.topic == self._topics.info:
            self.info = Info.decode(message.payload)
        elif key := self._topics.parse_reply(message.topic):
            self._exchange.hear(key, message)

    def _on_status(self, presence: Presence) -> None:
        self.presence = presence
        if presence is not Presence.ONLINE:
            self._online.clear()
            return
        self._online.set()
        # It also comes, retained, whenever we connect again: a broker that lost its memory lost what it had confirmed.
        self._exchange.again()
