"""What is told of runs while they go on, to whoever listens for them: by client and id."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from agent.client.exchange import Key
from agent.contract.errors import ContractError
from agent.contract.events import Event
from agent.contract.topics import Topics
from agent.mqtt.message import Message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioChunk:
    """A piece of an answer's speech, playable by itself."""

    chunk: int
    """Its number, from 0."""
    data: bytes
    """In the format that was asked for."""
    content_type: str | None = None
    """What it is, the rate of bare samples included; None by MQTT 3.1.1."""


class Listener(Protocol):
    """Who hears of one run while it goes on; what the broker sends twice comes twice."""

    def hear(self, event: Event) -> None:
        """An event arrived."""

    def play(self, chunk: AudioChunk) -> None:
        """A chunk of speech arrived."""


class Listeners:
    """All who listen on one connection; what nobody listens for is not even read."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._listeners: dict[Key, list[Listener]] = {}

    @contextmanager
    def attend(self, key: Key, listener: Listener) -> Iterator[None]:
        """Has `listener` told of the run of `key`, from now on and as long as this is open."""
        listeners = self._listeners.setdefault(key, [])
        listeners.append(listener)
        try:
            yield
        finally:
            listeners.remove(listener)
            if not listeners:
                del self._listeners[key]

    def hear(self, message: Message) -> None:
        """Takes whatever arrived below the reply topics, and is no terminal reply."""
        if not self._listeners:
            return
        if key := self._topics.parse_event(message.topic):
            self._hear_event(key, message)
        elif found := self._topics.parse_audio(message.topic):
            client, request_id, number = found
            chunk = AudioChunk(number, message.payload, message.content_type)
            for listener in self._listeners.get((client, request_id), ()):
                listener.play(chunk)

    def _hear_event(self, key: Key, message: Message) -> None:
        listeners = self._listeners.get(key)
        if not listeners:
            return
        try:
            event = Event.decode(message.payload)
        except ContractError as exc:  # an agent newer than we are tells of things that we do not know
            logger.debug("an event on %s is left out: %s", message.topic, exc)
            return
        for listener in listeners:
            listener.hear(event)
