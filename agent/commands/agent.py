"""Run the agent."""

from __future__ import annotations

import argparse
import asyncio

from agent import service
from agent.logs import configure
from agent.settings_reading import load
from agent.storage import check_home
from agent.title import entitle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: the agent reads its settings from the environment."""
    parser.epilog = "`edgevoice settings` lists what can be set, by environment, `.env` or `edgevoice.toml`."


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command's shape
    """Returns after SIGTERM or SIGINT, once all is closed."""
    settings = load()
    entitle("agent", settings.agent)
    settings.mqtt.check_files()
    check_home(settings)
    configure(settings.log.level, settings.log.format)
    asyncio.run(service.run(settings))
    return 0
