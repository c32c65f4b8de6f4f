"""paho's client, which takes fewer calls of the kernel, and wakes nobody, for what each request costs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion, _ConnectionState

from agent.mqtt.message import Publication
from agent.mqtt.packets import publish_packet

_READ_BYTES = 65_536
_AT_ONCE_BYTES = 65_536
_ANY_BYTE = b"0"
_QOS_TO_PAHO = 1
"""Of one that went out with QoS 0, it would tell, and look for what it did not book."""
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Wire(paho.Client):
    """Publications go past paho's own bookkeeping, which the outbox makes superfluous.

    They are sent by whoever has one, and what arrives goes to `on_packet` as it is.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """As paho's."""
        self.on_packet: Callable[..., None]
        """Told, like paho's own, the first byte of a PUBLISH or PUBACK and what follows its length."""
        self._received = memoryview(b"")
        self._writing = threading.Lock()
        self._unconfirmed: set[int] = set()
        super().__init__(*args, **options)

    def transmit(self, publication: Publication) -> int | None:
        """Sends a PUBLISH, on the live connection or never; its packet identifier, None where that is still in use.

        ValueError where the topic is none.
        """
        mid = self._mid_generate() if publication.qos else 0
        if mid in self._unconfirmed:
            return None
        self._raise_for_invalid_topic(publication.topic.encode())
        packet = publish_packet(publication, mid, v5=self._protocol is MQTTProtocolVersion.MQTTv5)
        if mid:
            self._unconfirmed.add(mid)
        if self._state is _ConnectionState.MQTT_CS_CONNECTED:
            self._packet_queue(packet[0], packet, mid, _QOS_TO_PAHO)
        return mid

    def confirmed(self, mid: int) -> None:
        """The packet identifier is free again."""
        self._unconfirmed.discard(mid)

    def forget(self) -> None:
        """A new connection: the broker answers nothing that was sent over the one before."""
        self._unconfirmed.clear()

    def reconnect(self) -> MQTTErrorCode:
        """As paho's."""
        self._received = memoryview(b"")
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """As paho's, for all that was received: nobody is woken for what the kernel does not have any more."""
        while True:
            rc = super().loop_read(max_packets)
            if rc or not self._received:
                return rc

    def _sock_recv(self, bufsize: int) -> bytes:
        """As paho's, which asks the kernel for every byte of a packet's length."""
        if not self._received:
            data = super()._sock_recv(max(bufsize, _READ_BYTES))
            self._acknowledge_quickly()
            if len(data) <= bufsize:
                return data
            self._received = memoryview(data)
        taken, self._received = self._received[:bufsize], self._received[bufsize:]
        return bytes(taken)

    def _acknowledge_quickly(self) -> None:
        """The kernel goes back to delaying by itself, and the broker may wait 40 ms for it."""
        sock: Any = self.socket()
        if sock is not None and _QUICK_ACK is not None:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _handle_publish(self) -> MQTTErrorCode:
        self.on_packet(self, None, self._in_packet["command"], self._in_packet["packet"])
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Any) -> MQTTErrorCode:
        return self._handle_publish()

    def _packet_queue(
        self, command: int, packet: bytes | bytearray, mid: int, qos: int, info: Any = None
    ) -> MQTTErrorCode:
        """As paho's, but what is small is sent at once, by whoever queues it: to wake the thread for it takes longer.

        Not over TLS, whose connection two threads may not use at once, nor while it is made or ended.
        """
        connected = self._state is _ConnectionState.MQTT_CS_CONNECTED
        at_once = connected and len(packet) <= _AT_ONCE_BYTES and not self._ssl and not self._out_packet
        self._out_packet.append(
            {
                "command": command,
                "mid": mid,
                "qos": qos,
                "pos": 0,
                "to_process": len(packet),
                "packet": memoryview(packet),  # type: ignore[typeddict-item] # so that a part of it is no copy
                "info": info,
            }
        )
        if not (at_once and self._wrote()) and self._sockpairW:
            with suppress(OSError):
                self._sockpairW.send(_ANY_BYTE)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _wrote(self) -> bool:
        """Whether all is sent that was queued; False where the socket takes no more, or another thread is at it."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            return super()._packet_write() is MQTTErrorCode.MQTT_ERR_SUCCESS
        finally:
            self._writing.release()

    def _packet_write(self) -> MQTTErrorCode:
        with self._writing:
            return super()._packet_write()
