"""The requester's side of the contract: ask, await the one reply, cancel. The bridge and the commands use it too."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass

from typing_extensions import Self

from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.messages import Cancel, Request
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import AdminOperation, Operation, Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Delivery, Message, PacketTooLarge, Publication, Subscription
from agent.mqtt.settings import MqttSettings

_CONNECT_PATIENCE_S = 3.0
_SILENCE_AFTER_DEADLINE_S = 1.0
_ADMIN_TIMEOUT_S = 1_800.0


class NoReply(Exception):
    """Nothing was heard of a request, not even that it expired; its reply may still come."""

    def __init__(self, request_id: str, waited_s: float) -> None:
        super().__init__(f"no reply to {request_id} within {waited_s:g} s")
        self.id = request_id


@dataclass
class _Pending:
    """A request whose reply is awaited, by how many callers."""

    publication: Publication
    reply: asyncio.Future[Reply]
    again: bool = True
    """Whether it may be sent once more by itself: its id makes it one request."""
    callers: int = 0


class AgentClient:
    """One connection, one subscription, any number of requests at once."""

    def __init__(self, mqtt: MqttSettings, *, topics: Topics, client: str) -> None:
        """`client` is the level of the topics that the broker lets this user write and read: its user name."""
        self._topics = topics
        self._client = client
        self._online = asyncio.Event()
        self._pending: dict[str, _Pending] = {}
        self._exit = AsyncExitStack()
        self._mqtt = MqttClient(
            mqtt,
            client_id=f"edgevoice-{client}-{uuid.uuid4().hex[:8]}",
            on_message=self._on_message,
            on_ready=self._ask_again,
            subscriptions=(
                Subscription(topics.all_replies(client)),
                Subscription(topics.info, retained=True),  # before the status: who is online has said what it can
                Subscription(topics.status, retained=True),
            ),
        )
        self.presence: Presence | None = None
        """What the agent's status topic says; None until it said something."""
        self.info: Info | None = None
        """What the agent is and can do; None until it said so."""

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self._mqtt)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._exit.aclose()
        for pending in self._pending.values():
            pending.reply.cancel()

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

    async def ask(self, request: Request, *, operation: Operation = Operation.CHAT) -> Reply:
        """The terminal reply to `request`, whatever its status; the same id asked twice at once is asked once.

        Raises ContractError (agent_offline, broker_unavailable, payload_too_large) where it cannot be asked, NoReply
        where nothing is heard a second past its deadline. A request without a deadline gets 60 s.
        """
        if request.reply_to:
            raise ContractError(ErrorCode.BAD_REQUEST, "reply_to is the client's to choose", field="reply_to")
        request_id = request.id or uuid.uuid4().hex
        deadline_ms = request.deadline_ms or DEFAULT_DEADLINE_MS
        request = request.model_copy(update={"id": request_id, "deadline_ms": deadline_ms})
        await self._connected(_CONNECT_PATIENCE_S)
        if self.presence is Presence.OFFLINE:
            raise self._offline()
        topic = self._topics.request(self._client, operation)
        publication = Publication(topic, request.encode(), content_type="application/json")
        self._check_size(request, publication)
        return await self._reply_to(request_id, publication, deadline_ms / 1_000 + _SILENCE_AFTER_DEADLINE_S)

    async def administer(
        self, operation: AdminOperation, *, model: str | None = None, timeout_s: float = _ADMIN_TIMEOUT_S
    ) -> Reply:
        """The reply to an operator's call; ContractError(forbidden) where the broker does not let this user make it.

        NoReply where nothing is heard within `timeout_s`, which on MQTT 3.1.1 may mean the same.
        """
        await self._connected(_CONNECT_PATIENCE_S)
        if self.presence is Presence.OFFLINE:
            raise self._offline()
        asked = AdminRequest(id=uuid.uuid4().hex, model=model)
        topic = self._topics.admin(self._client, operation)
        publication = Publication(topic, asked.encode(), content_type="application/json")
        return await self._reply_to(str(asked.id), publication, timeout_s, again=False)

    def cancel(self, request_id: str) -> None:
        """Stops a request; whoever awaits it gets its terminal reply, `cancelled`."""
        topic = self._topics.request(self._client, Operation.CANCEL)
        self._mqtt.publish(Publication(topic, Cancel(id=request_id).encode(), content_type="application/json"))

    async def _reply_to(self, request_id: str, publication: Publication, wait_s: float, *, again: bool = True) -> Reply:
        pending = self._pending.get(request_id) or self._send(request_id, publication, again=again)
        if pending.publication.payload != publication.payload:
            raise ContractError(ErrorCode.CONFLICT, f"id {request_id} is in use for another request", field="id")
        pending.callers += 1
        try:
            return await asyncio.wait_for(asyncio.shield(pending.reply), wait_s)
        except asyncio.TimeoutError as exc:
            raise NoReply(request_id, wait_s) from exc
        finally:
            pending.callers -= 1
            if not pending.callers:
                del self._pending[request_id]

    def _send(self, request_id: str, publication: Publication, *, again: bool) -> _Pending:
        pending = _Pending(publication, asyncio.get_running_loop().create_future(), again)
        try:
            delivered = self._mqtt.publish(publication)
        except PacketTooLarge as exc:
            raise ContractError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"the request is too large: {exc}", limit=exc.limit, actual=exc.size
            ) from exc
        delivered.add_done_callback(lambda outcome: self._delivered(pending.reply, outcome))
        self._pending[request_id] = pending
        return pending

    async def _connected(self, timeout_s: float) -> None:
        try:
            await self._mqtt.wait_connected(timeout_s)
        except BrokerUnavailable as exc:
            raise ContractError(ErrorCode.BROKER_UNAVAILABLE, str(exc)) from exc

    def _check_size(self, request: Request, publication: Publication) -> None:
        """Says in the caller's own measure what the agent would say of the message."""
        limit = self.info.limits.max_message_bytes if self.info else None
        if limit is None or len(publication.payload) <= limit:
            return
        field, what, size = None, "request", len(publication.payload)
        if request.audio:
            rest = size - len(request.audio)
            field, what, size, limit = "audio", "clip", len(request.audio) * 3 // 4, (limit - rest) * 3 // 4
        message = f"the {what} has {size} bytes; {limit} are the most in one message"
        raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field=field, limit=limit, actual=size)

    def _offline(self) -> ContractError:
        return ContractError(
            ErrorCode.AGENT_OFFLINE, f"the agent {self._topics.agent!r} is not online", retry_after_ms=2_000
        )

    def _delivered(self, reply: asyncio.Future[Reply], outcome: asyncio.Future[Delivery]) -> None:
        if outcome.cancelled() or reply.done():
            return
        if outcome.result() is Delivery.NO_SUBSCRIBERS and not self._online.is_set():
            reply.set_exception(self._offline())  # else it was there a moment ago, and is asked again when it is back
        elif outcome.result() is Delivery.REFUSED:
            message = f"the broker does not let {self._client!r} ask; see its ACL"
            reply.set_exception(ContractError(ErrorCode.FORBIDDEN, message))

    def _ask_again(self) -> None:
        # A broker that lost its memory lost what it had confirmed, too; the ids make it one request.
        for pending in self._pending.values():
            if pending.again:
                self._mqtt.publish(pending.publication)

    def _on_message(self, message: Message) -> None:
        if message.topic == self._topics.status:
            self.presence = Presence(message.payload.decode())
            if self.presence is Presence.ONLINE:
                self._online.set()
                self._ask_again()
            else:
                self._online.clear()
        elif message.topic == self._topics.info:
            self.info = Info.decode(message.payload)
        elif address := self._topics.parse_reply(message.topic):
            pending = self._pending.get(address[1])
            reply = Reply.decode(message.payload)
            if pending and not pending.reply.done() and not _answers_a_cancel(reply):
                pending.reply.set_result(reply)


def _answers_a_cancel(reply: Reply) -> bool:
    """Whether `reply` says that there was nothing to cancel: no answer to a request that is asked again meanwhile."""
    return bool(reply.error and reply.error.code is ErrorCode.NOT_FOUND and reply.error.field == "id")
