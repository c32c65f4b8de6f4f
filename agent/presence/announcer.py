"""What the agent says of itself: its retained topics, at birth, on change, and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.contract.presence import Info, State
from agent.contract.terms import Presence
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Publication

_STATE_INTERVAL_S = 1.0


def last_will(topics: Topics) -> Publication:
    """What the broker says of an agent that is gone without a word."""
    return _status(topics, Presence.OFFLINE)


class Announcer:
    """Keeps `status`, `info` and `state` true."""

    def __init__(self, topics: Topics, mqtt: MqttClient, info: Callable[[], Info], state: Callable[[], State]) -> None:
        """Both are asked whenever they may be another."""
        self._topics = topics
        self._mqtt = mqtt
        self._info = info
        self._state = state
        self._presence = Presence.OFFLINE
        self._last: State | None = None
        self._told: Info | None = None
        self._pause: asyncio.TimerHandle | None = None

    def online(self) -> None:
        """The engines are warm: from now on the agent answers."""
        self._presence = Presence.ONLINE
        self.repeat()

    def repeat(self) -> None:
        """Says everything again: the last will spoke for a connection that was lost."""
        self._last = self._told = None
        self._publish_info()  # before anybody reads that it is online
        self.changed()
        self._mqtt.publish(_status(self._topics, self._presence))

    def changed(self) -> None:
        """The state may be another; it is published at most once a second."""
        if not self._pause:
            self._publish_state()
            self._pause = asyncio.get_running_loop().call_later(_STATE_INTERVAL_S, self._settle)

    async def offline(self) -> Delivery:
        """The last word; returns once the broker has it."""
        self._presence = Presence.OFFLINE
        self._publish_state()
        if self._pause:
            self._pause.cancel()
        return await self._mqtt.publish(_status(self._topics, Presence.OFFLINE))

    def _settle(self) -> None:
        self._pause = None
        if self._state() != self._last or self._has_news():
            self.changed()

    def _has_news(self) -> bool:
        return self._presence is Presence.ONLINE and self._info() != self._told

    def _publish_info(self) -> None:
        if self._has_news():
            self._told = self._info()
            self._mqtt.publish(Publication(self._topics.info, self._told.encode(), retain=True))

    def _publish_state(self) -> None:
        self._publish_info()
        state = self._state()
        if state != self._last:
            self._last = state
            self._mqtt.publish(Publication(self._topics.state, state.encode(), qos=0, retain=True))


def _status(topics: Topics, presence: Presence) -> Publication:
    return Publication(topics.status, presence.value.encode(), retain=True)
