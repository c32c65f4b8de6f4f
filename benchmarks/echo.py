"""The floor over MQTT, `python -m benchmarks.echo SETTINGS`: paho sends each question straight back."""

from __future__ import annotations

import signal
import sys

from agent.contract.terms import Presence
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack import DEMO_USER
from benchmarks.paho_client import QOS, subscribed

TOPICS = Topics(agent="echo")
"""Those of an agent, so that the broker's rules let it speak."""
REPLY_BYTES = 500
"""How much of a question comes back: about what the agent's reply to it has."""


def main() -> None:
    """Answers until it is killed."""
    settings = MqttSettings.model_validate_json(sys.argv[1])
    reply_topic = TOPICS.reply(DEMO_USER, "any")

    def send_back(payload: bytes) -> None:
        client.publish(reply_topic, payload[:REPLY_BYTES], QOS)

    with subscribed(settings, TOPICS.all_requests, send_back) as client:
        client.publish(TOPICS.status, Presence.ONLINE.value, QOS, retain=True)
        signal.pause()


if __name__ == "__main__":
    main()
