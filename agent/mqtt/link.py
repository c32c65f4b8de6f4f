"""paho's callbacks, handed over to the event loop; one connection at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MessageType
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.mqtt.handover import Handover
from agent.mqtt.listener import Listener, Welcome
from agent.mqtt.message import Message, Publication, Subscription
from agent.mqtt.network import Network
from agent.mqtt.packets import mid_of, read_puback, read_publish
from agent.mqtt.parser import subscribe_options
from agent.mqtt.pauses import Pauses
from agent.mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

_CLOSE_PATIENCE_S = 5.0
_MOST_IN_FLIGHT = 20
_UNSPECIFIED = 0x80
_KIND = 0xF0


class Link:
    """One connection at a time, made again with growing, jittered pauses until closed."""

    def __init__(
        self,
        settings: MqttSettings,
        listener: Listener,
        *,
        client_id: str,
        will: Publication | None,
        session_expiry_s: int,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._client_id = client_id
        self._will = will
        self._session_expiry_s = session_expiry_s
        self._v5 = settings.protocol == "5"
        self._epochs = itertools.count(1)
        self._epoch = 0
        """Which connection is live; 0 while there is none. Written by paho's thread only."""
        self._acknowledging = threading.Lock()
        self._pauses = Pauses(settings.reconnect_min_s, settings.reconnect_max_s)
        self._handover: Handover
        self._paho: Network | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the thread, which connects. OSError where password or certificate files cannot be read."""
        self._handover = Handover(loop)
        self._paho = client = Network(
            self._settings, client_id=self._client_id, will=self._will, session_expiry_s=self._session_expiry_s
        )
        client.on_pre_connect = self._guarded(self._on_pre_connect)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_packet = self._guarded(self._on_packet)
        client.begin()

    @property
    def alive(self) -> bool:
        """Whether paho's thread, which nothing else tells of, runs; true before `open`, too."""
        return self._paho is None or self._paho.alive

    async def close(self, *, orderly: bool = True) -> None:
        """Sends what is queued, disconnects and ends the thread; one that is stuck in a dead connection is left.

        Not `orderly`: the connection breaks, and the last will speaks.
        """
        client = self._paho
        if client is None:
            return
        self._handover.close()
        if orderly:
            client.disconnect()
        else:
            client.cut()
        stopped = asyncio.Event()

        def stop() -> None:
            client.loop_stop()
            self._handover.call(stopped.set)

        threading.Thread(target=stop, name="mqtt-stop", daemon=True).start()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), _CLOSE_PATIENCE_S)
        client.free()

    def send(self, publication: Publication) -> int | None:
        """Queues `publication` on the live connection; its packet identifier, None where that is still in use.

        ValueError where the topic is none.
        """
        return self._live.transmit(publication)

    def subscribe(self, subscriptions: Sequence[Subscription]) -> int | None:
        """Asks to hear these; the packet identifier, None where the connection is gone."""
        asked: list[Any] = [(s.topic_filter, subscribe_options(s) if self._v5 else s.qos) for s in subscriptions]
        return self._live.subscribe(asked)[1]

    def unsubscribe(self, topic_filters: Sequence[str]) -> None:
        """Asks to hear these no more; without effect while there is no connection."""
        self._live.unsubscribe(list(topic_filters))

    def ack(self, message: Message) -> None:
        """Acknowledges `message`, if the connection it came over is still the live one."""
        # Packet identifiers begin anew where the broker lost its memory: on another connection this one may stand for
        # a message that nobody has taken care of. So none may slip in once the next connection is begun.
        with self._acknowledging:
            if message.qos and message.epoch == self._epoch:
                self._live.ack(message.mid, message.qos)

    def cut(self) -> None:
        """Ends the connection, which may be a stalled one, so that another is made."""
        if self._paho:
            self._paho.cut()

    @property
    def _live(self) -> Network:
        assert self._paho is not None, "the link is not open"  # noqa: S101 - a bug of the caller
        return self._paho

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """`callback`, of which no error escapes: what it was told of is made up for by another connection."""

        def call(_client: paho.Client, _userdata: object, *args: Any) -> None:
            try:
                callback(*args)
            except Exception:
                logger.exception("connecting anew: paho's thread failed in %s", callback.__name__)
                self.cut()

        return call

    def _on_pre_connect(self) -> None:
        with self._acknowledging:
            was_up, self._epoch = self._epoch, 0
        if was_up:  # paho lost the connection without a word
            self._pauses.lost(broker_there=self._live.broker_there)
            self._tell_lost("no answer")

    def _on_connect(self, flags: Any, reason: ReasonCode, properties: Properties | None) -> None:
        if reason.is_failure:
            self._tell_lost(f"refused: {reason}")
            return
        self._pauses.connected()
        self._live.forget()  # the outbox sends again what was not confirmed
        self._epoch = next(self._epochs)
        welcome = Welcome(
            self._epoch,
            getattr(properties, "MaximumPacketSize", self._settings.max_packet_bytes),
            min(getattr(properties, "ReceiveMaximum", _MOST_IN_FLIGHT), _MOST_IN_FLIGHT),
            flags.session_present,
        )
        self._handover.call(self._listener.link_up, welcome)

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        refusals = [str(reason) if reason.is_failure else None for reason in reasons]
        self._handover.call(self._listener.link_granted, mid, refusals)

    def _on_connect_fail(self) -> None:
        self._pauses.failed()
        self._tell_lost("cannot be reached")
        self._back_off()

    def _on_disconnect(self, _flags: object, reason: ReasonCode, _properties: object) -> None:
        was_up, self._epoch = self._epoch, 0
        if was_up and reason.is_failure:  # a refused connection was told of already, with its reason
            self._tell_lost("the connection broke" if reason.value == _UNSPECIFIED else str(reason))
            self._pauses.lost(broker_there=self._live.broker_there)
        elif not was_up:
            self._pauses.failed()
        self._back_off()

    def _tell_lost(self, reason: str) -> None:
        self._handover.call(self._listener.link_lost, reason)

    def _back_off(self) -> None:
        rival = self._pauses.rival
        # paho doubles its own delay without jitter; setting both ends makes the next pause exactly this one.
        pause_s: Any = self._pauses.next_s()  # annotated int in paho, where any number works
        if rival:
            logger.error(
                "the broker takes every connection away again: most likely another client uses the client id %r; "
                "trying every %.0f s",
                self._client_id,
                pause_s,
            )
        self._live.reconnect_delay_set(pause_s, pause_s)

    def _on_packet(self, first: int, rest: bytearray) -> None:
        if first & _KIND == MessageType.PUBACK:
            self._on_puback(rest)
        else:
            self._on_publish(first, rest)

    def _on_puback(self, rest: bytearray) -> None:
        mid, delivery = read_puback(rest)
        self._live.confirmed(mid)
        self._handover.call(self._listener.link_confirmed, mid, delivery)

    def _on_publish(self, first: int, rest: bytearray) -> None:
        try:
            heard = read_publish(first, rest, v5=self._v5, epoch=self._epoch)
        except Exception:
            logger.exception("dropped a message that cannot be read")
            if mid := mid_of(first, rest):
                self._live.ack(mid, 1)  # else it would come again at every connection
            return
        if not self._session_expiry_s:
            self._live.ack(heard.mid, heard.qos)
        self._handover.message(self._listener.link_message, heard)
