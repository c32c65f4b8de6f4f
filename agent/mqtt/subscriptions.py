"""What is to be heard, on every connection anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.mqtt.message import Subscription, SubscriptionRefused

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiter:
    """Who wants to know when these are granted."""

    filters: frozenset[str]
    granted: asyncio.Future[None]

    def settle(self, refused: Mapping[str, str]) -> None:
        if self.granted.done():
            return
        if mine := {name: why for name, why in refused.items() if name in self.filters}:
            self.granted.set_exception(SubscriptionRefused(mine))
        else:
            self.granted.set_result(None)


@dataclass(frozen=True)
class _Asked:
    """Filters that one packet asked for, in its order."""

    filters: tuple[str, ...]
    waiters: tuple[_Waiter, ...]
    all: bool = False
    """The packet that asks for everything, once a connection."""


class Subscriptions:
    """Remembers every filter; tells who asked for one once the broker has granted it."""

    def __init__(
        self, subscriptions: Sequence[Subscription], send: Callable[[Sequence[Subscription]], int | None]
    ) -> None:
        """`send` asks the broker; it gives the packet identifier, None where the connection is gone again."""
        self._wanted = {subscription.topic_filter: subscription for subscription in subscriptions}
        self._needed = frozenset(self._wanted)
        self._send = send
        self._up = False
        self._asked: dict[int, _Asked] = {}
        self._later: list[_Waiter] = []

    def add(self, subscriptions: Sequence[Subscription], granted: asyncio.Future[None]) -> None:
        """Wants these, too; `granted` is done once they are, now or on the next connection."""
        filters = tuple(subscription.topic_filter for subscription in subscriptions)
        self._wanted.update(zip(filters, subscriptions, strict=True))
        waiter = _Waiter(frozenset(filters), granted)
        mid = self._send(subscriptions) if self._up else None
        if mid is None:
            self._later.append(waiter)
        else:
            self._asked[mid] = _Asked(filters, (waiter,))

    def drop(self, topic_filters: Sequence[str]) -> None:
        """Wants these no more."""
        for topic_filter in topic_filters:
            self._wanted.pop(topic_filter, None)

    def begin(self) -> bool:
        """A connection is there: asks for all. False where there is nothing to ask for."""
        self.end()
        self._up = True
        if not self._wanted:
            return False
        mid = self._send(list(self._wanted.values()))
        if mid is not None:
            waiters, self._later = tuple(self._later), []
            self._asked[mid] = _Asked(tuple(self._wanted), waiters, all=True)
        return True

    def end(self) -> None:
        """The connection is gone; who waits, waits for the next."""
        self._up = False
        for asked in self._asked.values():
            self._later.extend(asked.waiters)
        self._asked.clear()

    def answered(self, mid: int, refusals: Sequence[str | None]) -> bool:
        """The broker answered, filter by filter, why not; True where everything that is wanted was asked for.

        SubscriptionRefused where it refuses one that was wanted from the beginning.
        """
        asked = self._asked.pop(mid, None)
        if asked is None:
            return False
        refused = {name: why for name, why in zip(asked.filters, refusals, strict=False) if why}
        for waiter in asked.waiters:
            waiter.settle(refused)
        if self._needed & refused.keys():
            raise SubscriptionRefused(refused)
        if refused:
            logger.error("%s", SubscriptionRefused(refused))
        return asked.all

    def close(self) -> None:
        """Nobody is answered any more."""
        self.end()
        for waiter in self._later:
            waiter.granted.cancel()
        self._later.clear()
