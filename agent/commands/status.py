"""Show what runs on this machine, and how the agent fares."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from agent.commands._broker import add_broker_arguments, read_broker
from agent.contract.wire import WireModel
from agent.status.announced import Announced, hear
from agent.status.gpu import memory_of_processes
from agent.status.processes import Process, running
from agent.status.shown import advice_on, shown

_NOT_RUNNING = 3
"""As `systemctl status` has it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it, and whom to ask."""
    parser.add_argument("--json", action="store_true", help="as an object, for programs")
    add_broker_arguments(parser, user="broker user; any may look")
    parser.epilog = (
        "Processes are those of this machine (in a container, of that container), found by their titles; phase, queue, "
        "engines and faults are what the agent says on its retained topics, wherever it runs. The exit status is 0 "
        "where it is online, 3 where it is not, and 1 where settings or files cannot be read."
    )


def run(args: argparse.Namespace) -> int:
    """0 where the agent is online, 3 where it is not."""
    mqtt, topics = read_broker(args)
    heard = asyncio.run(hear(mqtt, topics))
    processes, gpu = running(), memory_of_processes()
    if args.json:
        print(json.dumps(_object(topics.agent, heard, processes, gpu), indent=2))
    else:
        console = Console(highlight=False)
        for part in shown(topics.agent, heard, processes, gpu):
            console.print(part, soft_wrap=True)
    return 0 if heard.online else _NOT_RUNNING


def _object(agent: str, heard: Announced, processes: Sequence[Process], gpu: Mapping[int, int]) -> dict[str, object]:
    return {
        "agent": agent,
        "online": heard.online,
        "advice": advice_on(agent, heard),
        "info": _plain(heard.info),
        "state": _plain(heard.state),
        "processes": [{**asdict(each), "gpu_bytes": gpu.get(each.pid)} for each in processes],
    }


def _plain(said: WireModel | None) -> dict[str, object] | None:
    return said.model_dump(mode="json", exclude_none=True) if said else None
