"""Which broker and which agent a command speaks to: its arguments, and for what they leave out the settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.client import AgentClient
from agent.commands import PORT, checked
from agent.contract.terms import Id, TopicBase
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.settings_reading import load

_FIELDS = ("host", "port", "username", "password_file", "protocol")


def add_broker_arguments(parser: argparse.ArgumentParser, *, user: str) -> None:
    """`user` is the help on the broker's user."""
    broker = parser.add_argument_group(
        "broker",
        "What is left out is read like the agent's own settings, from EDGEVOICE_MQTT__HOST and so on. A password is "
        "given in EDGEVOICE_MQTT__PASSWORD or in a file, because anyone may read a program's arguments.",
    )
    broker.add_argument("--host")
    broker.add_argument("--port", type=checked(PORT))
    broker.add_argument("--user", type=checked(Id), dest="username", help=user)
    broker.add_argument("--password-file", type=Path, metavar="FILE")
    broker.add_argument("--protocol", choices=["5", "3.1.1"], help="MQTT version")
    broker.add_argument("--agent", type=checked(Id), metavar="NAME", help="which agent")
    broker.add_argument("--base", type=checked(TopicBase), metavar="TOPIC", help="first levels of every topic")


def read_broker(args: argparse.Namespace) -> tuple[MqttSettings, Topics]:
    """The broker, and the agent's topics. UserError where settings or files cannot be read."""
    settings = load()
    given = {name: getattr(args, name) for name in _FIELDS if getattr(args, name) is not None}
    mqtt = settings.mqtt.model_copy(update=given)
    mqtt.check_files()
    return mqtt, Topics(base=args.base or settings.base, agent=args.agent or settings.agent)


def client_of(mqtt: MqttSettings, topics: Topics) -> AgentClient:
    """A client that asks as the broker's user; a broker that wants none may know it as `anonymous`."""
    return AgentClient(mqtt, topics=topics, client=mqtt.username or "anonymous")
