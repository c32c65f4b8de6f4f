"""The templates as retained topics, so that devices and pages see them without asking."""

from __future__ import annotations

import logging
from asyncio import Future
from contextlib import suppress

from agent.contract.topics import Topics
from agent.errors import StorageError
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Delivery, Message, PacketTooLarge, Publication
from agent.templates.catalogue import Catalogue

logger = logging.getLogger(__name__)


class RetainedTemplates:
    """Keeps a topic a template true, and none besides."""

    def __init__(self, topics: Topics, mqtt: MqttClient, catalogue: Catalogue) -> None:
        self._topics = topics
        self._mqtt = mqtt
        self._catalogue = catalogue
        self._refused = False

    def repeat(self) -> None:
        """Says all of them again: the broker may have lost what it knew."""
        with suppress(StorageError):  # which the journal has logged; they are told once it can be read
            for name in self._catalogue.current:
                self.changed(name)

    def changed(self, name: str) -> None:
        """Says what a template is now, or that it is no more."""
        template = self._catalogue.current.get(name)
        self._publish(name, template.encode() if template else b"")

    def hear(self, message: Message) -> None:
        """Takes what the broker has kept of an earlier life, and ends what is no template any more."""
        self._mqtt.ack(message)
        name = self._topics.parse_template(message.topic)
        with suppress(StorageError):
            if name and message.retain and message.payload and name not in self._catalogue.current:
                self._publish(name, b"")

    def _publish(self, name: str, payload: bytes) -> None:
        try:
            delivery = self._mqtt.publish(Publication(self._topics.template(name), payload, retain=True))
        except PacketTooLarge as exc:
            logger.warning("the template %s is not told: %s", name, exc)
        else:
            delivery.add_done_callback(self._watch)

    def _watch(self, outcome: Future[Delivery]) -> None:
        if not self._refused and not outcome.cancelled() and outcome.result() is Delivery.REFUSED:
            self._refused = True  # as it is for each of them
            logger.warning("the broker refuses %s; see its ACL", self._topics.all_templates)
