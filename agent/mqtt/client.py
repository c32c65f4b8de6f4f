"""An MQTT client for asyncio: a connection that is kept up, an outbox that survives it, acknowledgements by hand."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import Self

from agent.mqtt.link import Link
from agent.mqtt.message import BrokerUnavailable, Delivery, Message, PacketTooLarge, Publication, Subscription
from agent.mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outgoing:
    """A publication the broker has not confirmed yet."""

    publication: Publication
    done: asyncio.Future[Delivery]


class MqttClient:
    """The broker, as the rest of the program sees it: publish, hear, acknowledge."""

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        on_message: Callable[[Message], None],
        on_ready: Callable[[], None] = lambda: None,
        subscriptions: Sequence[Subscription] = (),
        will: Publication | None = None,
        session_expiry_s: int = 0,
    ) -> None:
        """`on_message`, and `on_ready` (each time connected and subscribed), run on the event loop.

        With a `session_expiry_s` the broker keeps what arrives meanwhile, and every message must be given to `ack`.
        """
        self._where = f"{settings.host}:{settings.port}"
        self._on_message = on_message
        self._on_ready = on_ready
        self._link = Link(
            settings,
            self,
            client_id=client_id,
            subscriptions=subscriptions,
            will=will,
            session_expiry_s=session_expiry_s,
        )
        self._places = itertools.count()
        self._outbox: dict[int, _Outgoing] = {}
        self._sent: dict[int, int] = {}
        """Packet identifier on this connection → place in the outbox."""
        self._packet_limit = settings.max_packet_bytes
        self._trouble = "no answer"
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._link.open(self._loop)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._link.close()
        self._ready.clear()
        for outgoing in self._outbox.values():
            outgoing.done.cancel()
        self._outbox.clear()

    @property
    def connected(self) -> bool:
        """Connected and subscribed."""
        return self._ready.is_set()

    @property
    def alive(self) -> bool:
        """Whether the connection is worked at, by a thread that lives; also while the broker is away."""
        return self._link.alive

    async def wait_connected(self, timeout_s: float) -> None:
        """Returns once connected and subscribed; BrokerUnavailable where that takes longer."""
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except asyncio.TimeoutError as exc:
            raise BrokerUnavailable(f"no connection to the broker at {self._where}: {self._trouble}") from exc

    def fits(self, publication: Publication) -> bool:
        """Whether the broker takes a packet of this size."""
        return publication.packet_bytes <= self._packet_limit

    def publish(self, publication: Publication) -> asyncio.Future[Delivery]:
        """Sends, now or after the next reconnect; the future is done once the broker has taken it over.

        A publication of QoS 0 is dropped while there is no connection. Raises PacketTooLarge.
        """
        if not self.fits(publication):
            raise PacketTooLarge(publication.packet_bytes, self._packet_limit)
        done: asyncio.Future[Delivery] = self._loop.create_future()
        if publication.qos == 0:
            if self.connected:
                self._link.send(publication)
            done.set_result(Delivery.DONE)
            return done
        place = next(self._places)
        self._outbox[place] = _Outgoing(publication, done)
        if self.connected:
            self._send_from_outbox(place)
        return done

    def ack(self, message: Message) -> None:
        """Tells the broker that `message` is taken care of; without effect once its connection is gone."""
        self._link.ack(message)

    def link_ready(self, packet_limit: int, session_present: bool) -> None:
        """Sends again what was never confirmed, in its order, then tells the owner."""
        logger.info("connected to %s%s", self._where, ", session resumed" if session_present else "")
        self._packet_limit = packet_limit
        self._sent.clear()
        self._ready.set()
        for place, outgoing in list(self._outbox.items()):
            if not self.fits(outgoing.publication):  # the broker came back with a smaller limit
                del self._outbox[place]
                if not outgoing.done.done():
                    outgoing.done.set_result(Delivery.REFUSED)
                logger.error("dropped a message for %r: larger than the broker takes", outgoing.publication.topic)
                continue
            self._send_from_outbox(place)
        self._on_ready()

    def link_lost(self, reason: str) -> None:
        """Keeps the outbox for the next connection."""
        if self._ready.is_set():
            logger.warning("lost the broker at %s: %s", self._where, reason)
        elif reason != self._trouble:
            logger.warning("no connection to the broker at %s yet: %s", self._where, reason)
        self._trouble = reason
        self._ready.clear()

    def link_confirmed(self, mid: int, delivery: Delivery) -> None:
        """Settles the publication's future."""
        outgoing = self._outbox.pop(self._sent.pop(mid, -1), None)
        if outgoing and not outgoing.done.done():
            outgoing.done.set_result(delivery)

    def link_message(self, message: Message) -> None:
        """Gives the message to the owner; an error of his stays his."""
        try:
            self._on_message(message)
        except Exception:
            logger.exception("message on %r was not handled", message.topic)

    def _send_from_outbox(self, place: int) -> None:
        self._sent[self._link.send(self._outbox[place].publication)] = place
