"""paho's client as we set it up, on a thread that outlives its errors."""

from __future__ import annotations

import logging
import socket
from contextlib import closing, suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion, _ConnectionState

import agent.mqtt.poll  # noqa: F401 - paho's select(), else
from agent.mqtt.message import Publication
from agent.mqtt.parser import connect_properties
from agent.mqtt.settings import MqttSettings
from agent.mqtt.wire import Wire

logger = logging.getLogger(__name__)

_LOOK_PATIENCE_S = 1.0


class Network(Wire):
    """paho's client, except that what its thread runs into does not end the thread."""

    def __init__(
        self, settings: MqttSettings, *, client_id: str, will: Publication | None, session_expiry_s: int
    ) -> None:
        """OSError where password or certificate files cannot be read."""
        self._settings = settings
        self._session_expiry_s = session_expiry_s
        self._v5 = settings.protocol == "5"
        clean: dict[str, Any] = {} if self._v5 else {"clean_session": not session_expiry_s}
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            **clean,
        )
        self.suppress_exceptions = True  # one that escaped a callback would leave the connection in between
        if settings.username:
            self.username_pw_set(settings.username, settings.read_password())
        if settings.tls:
            self.tls_set(_path(settings.ca_file), _path(settings.cert_file), _path(settings.key_file))
        if will:
            self.will_set(will.topic, will.payload, will.qos, will.retain)
        self.on_socket_open = _without_delay

    def begin(self) -> None:
        """Starts the thread, which connects, and connects again, until `disconnect`."""
        connect: dict[str, Any] = {}
        if self._v5:
            properties = connect_properties(self._session_expiry_s)
            connect = {"clean_start": not self._session_expiry_s, "properties": properties}
        settings = self._settings
        self.connect_async(settings.host, settings.port, settings.keepalive_s, **connect)
        self.loop_start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; nothing else tells."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def broker_there(self) -> bool:
        """Whether the broker's port takes connections just now."""
        address = self._settings.host, self._settings.port
        with suppress(OSError), closing(socket.create_connection(address, _LOOK_PATIENCE_S)):
            return True
        return False

    def cut(self) -> None:
        """Ends the connection as if the network had; the thread notices at once and makes another."""
        sock: Any = self.socket()
        if sock is None:
            return
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of a TLS socket, too, without its farewell

    def free(self) -> None:
        """Closes all sockets, once the thread has ended or was given up."""
        self._reset_sockets()  # else its wake-up sockets stay open until it is collected

    def _thread_main(self) -> None:
        try:
            while not self._looped():
                self._sock_close()
                self._do_on_disconnect(packet_from_broker=False, v1_rc=MQTTErrorCode.MQTT_ERR_CONN_LOST)
                self._state = _ConnectionState.MQTT_CS_CONNECT_ASYNC  # as at the beginning
                self._reconnect_wait()
        finally:
            self._thread = None

    def _looped(self) -> bool:
        """Whether paho's loop ended because it was told to."""
        try:
            self.loop_forever(retry_first_connection=True)
        except Exception:  # a packet or a host name that paho cannot read
            if self._thread_terminate:
                return True
            logger.exception("the connection to the broker failed")
            return False
        return True


def _without_delay(_client: paho.Client, _userdata: object, sock: Any) -> None:
    with suppress(OSError):  # a unix socket has no Nagle
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _path(file: object) -> str | None:
    return str(file) if file else None
