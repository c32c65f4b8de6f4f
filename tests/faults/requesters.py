"""Callers who do as the contract tells them: they own a request, and send its id again until they know its outcome."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.client import AgentClient, NoReply
from agent.contract.errors import ContractError
from agent.contract.messages import Request
from agent.contract.terms import Operation
from agent.stack import Stack
from agent.stack.ports import HOST
from tests.faults.ledger import Ledger, Outcome, refused

PATIENCE_S = 20.0
_PAUSE_S = 0.3
"""Before a request is sent again that was not taken on."""

_NO_LIMITS = httpx.Limits(max_connections=None)


class Requester(Protocol):
    """One client of the agent."""

    async def ask(self, request_id: str) -> Outcome:
        """The outcome of the request, whose question is its id; every send and every reply is in the ledger."""
        ...


class MqttRequester:
    """Plain paho, as a device has it; the broker keeps its replies while it is away."""

    def __init__(self, stack: Stack, user: str, ledger: Ledger, *, retry_s: float | None) -> None:
        """`retry_s` is the silence after which it asks again [s]; None leaves that to the others."""
        self._topics = stack.topics
        self._user = user
        self._ledger = ledger
        self._retry_s = retry_s
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._subscribed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client: paho.Client

    @asynccontextmanager
    async def connected(self, stack: Stack, protocol: MQTTProtocolVersion, port: int) -> AsyncIterator[MqttRequester]:
        """Connects to `port`, and subscribes at every connection."""
        v5 = protocol is MQTTProtocolVersion.MQTTv5
        clean: dict[str, Any] = {} if v5 else {"clean_session": False}
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"fault-{uuid.uuid4().hex[:8]}", protocol=protocol, **clean
        )
        client.username_pw_set(self._user, stack.broker.password_file(self._user).read_text(encoding="utf-8").strip())
        client.reconnect_delay_set(1, 1)  # the shortest that paho has
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.connect(HOST, port, **(_session_kept() if v5 else {}))
        client.loop_start()
        try:
            await asyncio.wait_for(self._subscribed.wait(), PATIENCE_S)
            yield self
        finally:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)
            client._reset_sockets()  # else its wake-up sockets stay open until it is collected

    async def ask(self, request_id: str, **fields: Any) -> Outcome:
        """As the protocol says; `fields` go with it."""
        while True:
            reply = await self._once(request_id, {"id": request_id, "text": request_id, **fields})
            if not refused(reply):
                return reply
            await asyncio.sleep(reply["error"].get("retry_after_ms", 1_000 * _PAUSE_S) / 1_000)

    async def _once(self, request_id: str, request: dict[str, Any]) -> Outcome:
        reply = self._waiting.get(request_id)
        if reply is None or reply.done():
            reply = self._waiting[request_id] = self._loop.create_future()
        while not reply.done():
            self._ledger.sent(request_id)
            self._client.publish(self._topics.request(self._user, Operation.CHAT), json.dumps(request), 1)
            await asyncio.wait({reply}, timeout=self._retry_s)
        return reply.result()

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe(self._topics.all_replies(self._user), 1)

    def _on_subscribe(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        if not message.topic.endswith("/event"):
            self._loop.call_soon_threadsafe(self._heard, json.loads(message.payload))

    def _heard(self, said: Outcome) -> None:
        reply = self._ledger.heard(said)
        waiting = self._waiting.get(reply["id"])
        if waiting and not waiting.done():
            waiting.set_result(reply)


def _session_kept() -> dict[str, Any]:
    properties: Any = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3_600
    return {"clean_start": False, "properties": properties}


class OwnRequester:
    """Our own client, which asks again by itself."""

    def __init__(self, client: AgentClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger

    async def ask(self, request_id: str) -> Outcome:
        """As the protocol says."""
        while True:
            self._ledger.sent(request_id)
            try:
                reply = await self._client.ask(Request(id=request_id, text=request_id))
            except (ContractError, NoReply):
                await asyncio.sleep(_PAUSE_S)
                continue
            heard = self._ledger.heard(reply.model_dump(mode="json", exclude_none=True))
            if not refused(heard):
                return heard
            await asyncio.sleep(_PAUSE_S)


class HttpRequester:
    """A program that posts to the bridge, with an Idempotency-Key."""

    def __init__(self, client: httpx.AsyncClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger

    async def ask(self, request_id: str) -> Outcome:
        """As the protocol says."""
        while True:
            self._ledger.sent(request_id)
            try:
                response = await self._client.post(
                    "/v1/ask", json={"text": request_id}, headers={"Idempotency-Key": request_id}
                )
            except httpx.TransportError:
                await asyncio.sleep(_PAUSE_S)
                continue
            reply = _reply(request_id, response)
            if reply and not refused(self._ledger.heard(reply)):
                return reply
            await asyncio.sleep(float(response.headers.get("Retry-After", _PAUSE_S)))


def _reply(request_id: str, response: httpx.Response) -> Outcome | None:
    """What the agent, or the bridge for it, said; None where the bridge heard nothing itself."""
    body: dict[str, Any] = response.json()
    if response.status_code == httpx.codes.OK:
        return body
    if response.status_code == httpx.codes.GATEWAY_TIMEOUT:
        return None
    status = body["code"] if body["code"] in {"cancelled", "expired"} else "error"
    return body.get("reply") or {"id": request_id, "status": status, "error": body}


@asynccontextmanager
async def requester(
    kind: str, stack: Stack, user: str, ledger: Ledger, *, retry_s: float | None = 3.0, port: int | None = None
) -> AsyncIterator[Requester]:
    """A connected one: `mqtt5`, `mqtt311`, `own` or `http`; `user` is its broker user, `port` not the broker's own."""
    if kind == "http":
        async with httpx.AsyncClient(base_url=stack.url, timeout=90.0, limits=_NO_LIMITS) as client:
            yield HttpRequester(client, ledger)
    elif kind == "own":
        mqtt = stack.mqtt(user).model_copy(update={"port": port or stack.broker.port})
        async with AgentClient(mqtt, topics=stack.topics, client=user) as client:
            yield OwnRequester(client, ledger)
    else:
        protocol = MQTTProtocolVersion.MQTTv5 if kind == "mqtt5" else MQTTProtocolVersion.MQTTv311
        plain = MqttRequester(stack, user, ledger, retry_s=retry_s)
        async with plain.connected(stack, protocol, port or stack.broker.port) as connected:
            yield connected
