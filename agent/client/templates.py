"""The agent's prompt templates, as its retained topics tell them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from agent.contract.errors import ContractError
from agent.contract.templates import Template
from agent.contract.topics import Topics
from agent.mqtt.message import Message

logger = logging.getLogger(__name__)


class Templates:
    """Those that were heard of, on the latest connection: what ended meanwhile is told by silence."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._known: dict[str, Template] = {}
        self._epoch = 0

    @property
    def known(self) -> Mapping[str, Template]:
        """By name."""
        return dict(sorted(self._known.items()))

    def hear(self, message: Message) -> bool:
        """Takes what is said of a template; False where it is of something else, but for which connection it is."""
        if message.epoch != self._epoch:
            self._epoch = message.epoch
            self._known.clear()
        name = self._topics.parse_template(message.topic)
        if name is None:
            return False
        self._known.pop(name, None)
        if message.payload:
            self._take(name, message.payload)
        return True

    def _take(self, name: str, payload: bytes) -> None:
        try:
            self._known[name] = Template.decode(payload)
        except ContractError as exc:  # of an agent newer than we are
            logger.warning("the template %s is passed over: %s", name, exc.message)
