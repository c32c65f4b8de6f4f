"""A bare paho client that the kernel never keeps waiting: the load and the echo are made of the same one."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.mqtt.settings import MqttSettings

QOS = 1
_PATIENCE_S = 10.0
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


@contextmanager
def subscribed(
    settings: MqttSettings, topic_filter: str, on_payload: Callable[[bytes], None], *, tuned: bool = True
) -> Iterator[paho.Client]:
    """A client that hears `topic_filter`; `on_payload` runs on its network thread, and may publish from there.

    Not `tuned`, it is as it comes, and waits as the kernel has it.
    """
    client = paho.Client(
        CallbackAPIVersion.VERSION2, f"bench-{uuid.uuid4().hex[:8]}", protocol=MQTTProtocolVersion.MQTTv5
    )
    client.username_pw_set(settings.username, settings.read_password())
    ready = threading.Event()

    def on_message(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        if tuned:
            _acknowledge_quickly(client)
        on_payload(bytes(message.payload))

    client.on_subscribe = lambda *_: ready.set()
    client.on_message = on_message
    if tuned:
        client.on_socket_open = _send_at_once
        client.on_publish = lambda *_: _acknowledge_quickly(client)
    client.connect(settings.host, settings.port)
    client.subscribe(topic_filter, QOS)
    client.loop_start()
    try:
        if not ready.wait(_PATIENCE_S):
            raise TimeoutError(f"the broker at {settings.host}:{settings.port} did not take a subscription")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _send_at_once(_client: paho.Client, _userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_quickly(client: paho.Client) -> None:
    # As the agent's own client does: the kernel falls back to delayed acknowledgements by itself.
    sock: Any = client.socket()
    if sock is not None and _QUICK_ACK is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
