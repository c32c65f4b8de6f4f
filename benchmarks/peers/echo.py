"""The floor over MQTT, `python -m benchmarks.peers.echo ECHO SETTINGS`: paho gives each question one answer."""

from __future__ import annotations

import base64
import json
import re
import signal
import sys

from pydantic import BaseModel, ConfigDict

from agent.contract.reply import Reply
from agent.contract.terms import Id, Presence, Status
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack import DEMO_USER
from benchmarks.paho_client import QOS, subscribed

REPLY_BYTES = 500
"""About what the agent's reply to a line of text has."""
_ID = re.compile(rb'"id": ?"([^"]+)"')
_WORDS = 400


class Echo(BaseModel):
    """An agent of one client, which knows one answer."""

    model_config = ConfigDict(frozen=True)

    name: Id
    """As an agent, so that the broker's rules let it speak."""
    client: str = DEMO_USER
    """Whom it answers."""
    tuned: bool = True
    """Whether the kernel is told not to wait; else paho is as it comes."""
    reads_clips: bool = False
    """Whether it reads the clip of each question first, by the standard library."""

    @property
    def topics(self) -> Topics:
        """Where it is asked."""
        return Topics(agent=self.name)


def main() -> None:
    """Answers until it is killed."""
    echo, settings = Echo.model_validate_json(sys.argv[1]), MqttSettings.model_validate_json(sys.argv[2])
    topics = echo.topics
    before, after = Reply(id="-", status=Status.OK, text="." * _WORDS, agent=echo.name).encode().split(b"-", 1)

    def send_back(question: bytes) -> None:
        if echo.reads_clips:
            base64.b64decode(json.loads(question)["audio"], validate=True)
        found = _ID.search(question)
        assert found
        client.publish(topics.reply(echo.client, found[1].decode()), before + found[1] + after, QOS)

    with subscribed(settings, topics.all_requests, send_back, tuned=echo.tuned) as client:
        client.publish(topics.status, Presence.ONLINE.value, QOS, retain=True)
        signal.pause()


if __name__ == "__main__":
    main()
