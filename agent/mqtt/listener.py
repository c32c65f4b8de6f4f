"""Whom a connection tells what happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.mqtt.message import Delivery, Message


@dataclass(frozen=True)
class Welcome:
    """What the broker says of a new connection."""

    number: int
    """Which connection it is, counted from 1."""
    packet_limit: int
    """Largest packet it takes [bytes]."""
    window: int
    """Publications it takes before it has confirmed the first of them."""
    session_present: bool
    """Whether it still knew us."""


class Listener(Protocol):
    """Who is told, on the event loop."""

    def link_up(self, welcome: Welcome) -> None:
        """Connected; nothing is subscribed yet."""

    def link_lost(self, reason: str) -> None:
        """Not connected (any more); paho's thread tries again by itself."""

    def link_granted(self, mid: int, refusals: Sequence[str | None]) -> None:
        """The broker answered a packet of subscriptions: for each, why not."""

    def link_confirmed(self, mid: int, delivery: Delivery) -> None:
        """The broker answered a publication."""

    def link_message(self, message: Message) -> None:
        """A message arrived."""
