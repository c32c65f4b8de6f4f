"""An MQTT client for asyncio: a connection that is kept up, an outbox that survives it, acknowledgements by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from typing_extensions import Self

from agent.mqtt.link import Link
from agent.mqtt.listener import Welcome
from agent.mqtt.message import (
    BrokerUnavailable,
    Delivery,
    Message,
    PacketTooLarge,
    Publication,
    Subscription,
    SubscriptionRefused,
)
from agent.mqtt.outbox import Outbox
from agent.mqtt.settings import MqttSettings
from agent.mqtt.subscriptions import Subscriptions

logger = logging.getLogger(__name__)


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
        connect: bool = True,
    ) -> None:
        """`on_message`, and `on_ready` (each time connected and subscribed), run on the event loop.

        With a `session_expiry_s` the broker keeps what arrives meanwhile, and every message must be given to `ack`.
        Without `connect`, no connection is made before `connect()`.
        """
        self._where = f"{settings.host}:{settings.port}"
        self._on_message = on_message
        self._on_ready = on_ready
        self._link = Link(settings, self, client_id=client_id, will=will, session_expiry_s=session_expiry_s)
        self._outbox = Outbox(self._link.send)
        self._subscriptions = Subscriptions(subscriptions, self._link.subscribe)
        self._packet_limit = settings.max_packet_bytes
        self._connect = connect
        self._welcome: Welcome | None = None
        self._trouble = "no answer"
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if self._connect:
            self.connect()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        await self._link.close(orderly=exc_type is None)  # who fails has not said goodbye: the last will does
        self._ready.clear()
        self._outbox.close()
        self._subscriptions.close()

    def connect(self) -> None:
        """Begins to connect, for good. OSError where password or certificate files cannot be read."""
        self._link.open(self._loop)

    @property
    def connected(self) -> bool:
        """Connected and subscribed."""
        return self._ready.is_set()

    @property
    def connection(self) -> int:
        """Which connection this is, counted from 1; 0 while there is none."""
        return self._welcome.number if self._welcome and self.connected else 0

    @property
    def alive(self) -> bool:
        """Whether the connection is worked at, by a thread that lives; also while the broker is away."""
        return self._link.alive

    @property
    def outbox_bytes(self) -> int:
        """Size of what the broker has not confirmed yet, while it is away above all [bytes]."""
        return self._outbox.bytes

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Returns once connected and subscribed; BrokerUnavailable where that takes longer."""
        if self.connected:  # what asks for a time limit makes a task
            return
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except asyncio.TimeoutError as exc:
            raise BrokerUnavailable(f"no connection to the broker at {self._where}: {self._trouble}") from exc

    def reconnect(self) -> None:
        """Gives up a connection over which nothing comes any more, so that another is made."""
        self._link.cut()

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
        if publication.qos:
            self._outbox.add(publication, done)
            return done
        if self.connected:
            self._link.send(publication)
        done.set_result(Delivery.DONE)
        return done

    def subscribe(self, *subscriptions: Subscription) -> asyncio.Future[None]:
        """Hears these, too, on this connection and all that follow; the future is done once the broker has said so.

        It fails with SubscriptionRefused; Mosquitto grants everything, and delivers what its ACL allows.
        """
        granted: asyncio.Future[None] = self._loop.create_future()
        self._subscriptions.add(subscriptions, granted)
        return granted

    def unsubscribe(self, *topic_filters: str) -> None:
        """Hears these no more."""
        self._subscriptions.drop(topic_filters)
        if self.connected:
            self._link.unsubscribe(topic_filters)

    def ack(self, message: Message) -> None:
        """Tells the broker that `message` is taken care of; without effect once its connection is gone."""
        self._link.ack(message)

    def link_up(self, welcome: Welcome) -> None:
        """Asks for all that is to be heard."""
        self._welcome = welcome
        if not self._subscriptions.begin():
            self._begin(welcome)

    def link_lost(self, reason: str) -> None:
        """Keeps outbox and subscriptions for the next connection."""
        if self._ready.is_set():
            logger.warning("lost the broker at %s: %s", self._where, reason)
        elif reason != self._trouble:
            logger.warning("no connection to the broker at %s yet: %s", self._where, reason)
        self._trouble = reason
        self._welcome = None
        self._ready.clear()
        self._outbox.end()
        self._subscriptions.end()

    def link_granted(self, mid: int, refusals: Sequence[str | None]) -> None:
        """Ready, if that was the last thing to wait for."""
        try:
            all_granted = self._subscriptions.answered(mid, refusals)
        except SubscriptionRefused as exc:
            self.link_lost(str(exc))
            self._link.cut()  # to ask again, after a pause, on another one
            return
        if all_granted and self._welcome:
            self._begin(self._welcome)

    def link_confirmed(self, mid: int, delivery: Delivery) -> None:
        """Settles the publication's future."""
        self._outbox.confirm(mid, delivery)

    def link_message(self, message: Message) -> None:
        """Gives the message to the owner; an error of his stays his."""
        try:
            self._on_message(message)
        except Exception:
            logger.exception("message on %r was not handled", message.topic)

    def _begin(self, welcome: Welcome) -> None:
        """Sends again what was never confirmed, in its order, then tells the owner."""
        logger.info("connected to %s%s", self._where, ", session resumed" if welcome.session_present else "")
        self._packet_limit = welcome.packet_limit
        self._trouble = "no answer"
        self._ready.set()
        self._outbox.begin(welcome.window, welcome.packet_limit)
        self._on_ready()
