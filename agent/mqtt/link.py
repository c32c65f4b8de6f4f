"""paho's side of a connection: its thread, its callbacks, its types. A callback only hands over to the event loop."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.mqtt.message import Delivery, Message, Publication, Subscription
from agent.mqtt.parser import (
    connect_properties,
    delivery_of,
    message_of,
    publish_properties,
    subscribe_options,
)
from agent.mqtt.settings import MqttSettings

_CLOSE_PATIENCE_S = 5.0
_GOOD_CONNECTION_S = 10.0
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Listener(Protocol):
    """Who is told, on the event loop."""

    def link_ready(self, packet_limit: int, session_present: bool) -> None:
        """Connected and subscribed; the broker takes packets of up to `packet_limit` bytes."""

    def link_lost(self, reason: str) -> None:
        """Not connected (any more); paho's thread tries again by itself."""

    def link_confirmed(self, mid: int, delivery: Delivery) -> None:
        """The broker answered a publication."""

    def link_message(self, message: Message) -> None:
        """A message arrived."""


class Link:
    """One connection at a time, made again with growing, jittered pauses until closed."""

    def __init__(
        self,
        settings: MqttSettings,
        listener: Listener,
        *,
        client_id: str,
        subscriptions: Sequence[Subscription],
        will: Publication | None,
        session_expiry_s: int,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._will = will
        self._session_expiry_s = session_expiry_s
        self._v5 = settings.protocol == "5"
        self._epochs = itertools.count(1)
        self._epoch = 0
        """Which connection is live; 0 while there is none. Written by paho's thread only."""
        self._failures = 0
        self._connected_at = 0.0
        self._subscribed: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop
        self._paho: paho.Client

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the thread, which connects. OSError where password or certificate files cannot be read."""
        self._loop = loop
        self._paho = self._configured()
        connect: dict[str, Any] = {}
        if self._v5:
            properties = connect_properties(self._session_expiry_s)
            connect = {"clean_start": not self._session_expiry_s, "properties": properties}
        self._paho.connect_async(self._settings.host, self._settings.port, self._settings.keepalive_s, **connect)
        self._paho.loop_start()

    @property
    def alive(self) -> bool:
        """Whether paho's thread, which nothing else tells of, runs."""
        thread = self._paho._thread  # noqa: SLF001 - as above
        return thread is not None and thread.is_alive()

    async def close(self) -> None:
        """Sends what is queued, disconnects and ends the thread; one that is stuck in a dead connection is left."""
        self._paho.disconnect()
        stopped = asyncio.Event()

        def stop() -> None:
            self._paho.loop_stop()
            self._hand_over(stopped.set)

        threading.Thread(target=stop, name="mqtt-stop", daemon=True).start()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), _CLOSE_PATIENCE_S)
        self._paho._reset_sockets()  # noqa: SLF001 - else its wake-up sockets stay open until it is collected

    def send(self, publication: Publication) -> int:
        """Queues `publication` on the live connection; returns its packet identifier."""
        properties = publish_properties(publication) if self._v5 else None
        info = self._paho.publish(
            publication.topic, publication.payload, publication.qos, publication.retain, properties
        )
        return info.mid

    def ack(self, message: Message) -> None:
        """Acknowledges `message`, if the connection it came over is still the live one."""
        if message.qos and message.epoch == self._epoch:
            self._paho.ack(message.mid, message.qos)

    def _configured(self) -> paho.Client:
        clean: dict[str, Any] = {} if self._v5 else {"clean_session": not self._session_expiry_s}
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=bool(self._session_expiry_s),
            **clean,
        )
        client.suppress_exceptions = True  # one that escaped would end the network thread without a sound
        settings = self._settings
        if settings.username:
            client.username_pw_set(settings.username, settings.read_password())
        if settings.tls:
            client.tls_set(_path(settings.ca_file), _path(settings.cert_file), _path(settings.key_file))
        if self._will:
            client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _hand_over(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *args)

    @staticmethod
    def _on_socket_open(_client: paho.Client, _userdata: object, sock: Any) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with suppress(OSError):  # a unix socket has no Nagle
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _acknowledge_quickly(self) -> None:
        # The kernel falls back to delayed acknowledgements by itself, and the broker may wait 40 ms for one.
        sock: Any = self._paho.socket()
        if sock is not None and _QUICK_ACK is not None:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _on_connect(
        self, client: paho.Client, _userdata: object, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._hand_over(self._listener.link_lost, f"refused: {reason}")
            return
        self._connected_at = time.monotonic()
        client.drop_out_messages()  # the client's outbox sends again what was not confirmed
        self._epoch = next(self._epochs)
        limit = getattr(properties, "MaximumPacketSize", self._settings.max_packet_bytes)
        self._subscribed = lambda: self._hand_over(self._listener.link_ready, limit, flags.session_present)
        if not self._subscriptions:
            self._subscribed()
        elif self._v5:
            client.subscribe([(s.topic_filter, subscribe_options(s)) for s in self._subscriptions])
        else:
            client.subscribe([(s.topic_filter, s.qos) for s in self._subscriptions])

    def _on_subscribe(
        self, _client: paho.Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._hand_over(self._listener.link_lost, f"a subscription was refused: {', '.join(map(str, reasons))}")
        else:
            self._subscribed()

    def _on_connect_fail(self, _client: paho.Client, _userdata: object) -> None:
        self._hand_over(self._listener.link_lost, "cannot be reached")
        self._back_off()

    def _on_disconnect(
        self, _client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        was_up, self._epoch = self._epoch, 0
        if was_up and time.monotonic() - self._connected_at > _GOOD_CONNECTION_S:
            self._failures = 0  # not at every connect: two clients of one id would throw each other out in a rush
        if was_up and reason.is_failure:  # a refused connection was told of already, with its reason
            self._hand_over(self._listener.link_lost, str(reason))
        self._back_off()

    def _back_off(self) -> None:
        # paho doubles its own delay without jitter; setting both ends makes the next pause exactly this one.
        pause = min(self._settings.reconnect_max_s, self._settings.reconnect_min_s * 2**self._failures)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, guards nothing
        self._failures = min(self._failures + 1, 16)
        seconds: Any = pause  # annotated int in paho, where any number works
        self._paho.reconnect_delay_set(seconds, seconds)

    def _on_publish(
        self, _client: paho.Client, _userdata: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        self._acknowledge_quickly()
        self._hand_over(self._listener.link_confirmed, mid, delivery_of(reason))

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self._acknowledge_quickly()
        self._hand_over(self._listener.link_message, message_of(message, self._epoch))


def _path(file: object) -> str | None:
    return str(file) if file else None
