"""Start broker, agent and bridge here, to try them out, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from functools import partial
from pathlib import Path

from agent.commands import PORT, checked
from agent.contract.terms import DEFAULT_AGENT, Operation
from agent.models.missing import fetch_missing
from agent.settings import Settings
from agent.settings_reading import load
from agent.signals import INTERRUPTED, until_signalled
from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import HOST

_OPERATOR = "operator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fixed ports, for who wants them."""
    parser.add_argument(
        "--mqtt-port", type=checked(PORT), metavar="PORT", help="the broker's port (default: a free one)"
    )
    parser.add_argument(
        "--http-port", type=checked(PORT), metavar="PORT", help="the bridge's port (default: a free one)"
    )
    parser.add_argument("--admin", action="store_true", help="let HTTP callers make operators' calls, too")
    parser.add_argument("--show-output", action="store_true", help="show what agent and bridge log")


def run(args: argparse.Namespace) -> int:
    """0 once stopped by Ctrl-C, SIGTERM or a closed terminal."""
    settings = load()
    fetch_missing(settings, print)  # before the loop, which would not let Ctrl-C stop a download
    status = asyncio.run(until_signalled(_up(args, settings)))
    return 0 if status == INTERRUPTED else status


async def _up(args: argparse.Namespace, settings: Settings) -> int:
    print("Starting broker, agent and bridge …", flush=True)
    stack = Stack(
        StackSettings(
            agent=settings.agent,
            home=settings.home,
            mqtt_port=args.mqtt_port,
            http_port=args.http_port,
            operators=(_OPERATOR, "bridge") if args.admin else (_OPERATOR,),
            show_output=args.show_output,
        )
    )
    async with stack:
        print(_welcome(stack), flush=True)
        await stack.keep(partial(print, flush=True))
    return 0


def _welcome(stack: Stack) -> str:
    topics, user = stack.topics, stack.mqtt().username or ""
    asked, replies = topics.request(user, Operation.CHAT), topics.all_replies(user)
    clients = f"XDG_CONFIG_HOME={stack.client_options}"
    log = "" if stack.settings.show_output else f"   agent's log {stack.log(Part.AGENT)}"
    return f"""\
Ready. Broker {HOST}:{stack.broker.port}   HTTP {stack.url}{log}

  ask on   {asked}
  reply on {topics.reply(user, "{id}")}
  agent    {topics.status} · {topics.info} · {topics.state}

Copy and paste, in another terminal:

  # MQTT: listen for the next reply, and ask
  {clients} mosquitto_sub -q 1 -C 1 -W 60 -t '{replies}' &
  {clients} mosquitto_pub -q 1 -t {asked} -m 'What is the capital of France?'

  # MQTT 5: ask and wait for the reply
  {clients} mosquitto_rr -V 5 -q 1 -W 60 -t {asked} -e {topics.reply(user, "rr")} -m 'What is the capital of France?'

  # this program, and programs in Python that read the same settings
  {_program(stack, user, "ask")} 'What is the capital of France?'

  # its operator: which prompt templates there are
  {_program(stack, _OPERATOR, "templates", "list")}

  # HTTP
  curl -s {stack.url}/v1/ask -H 'Content-Type: application/json' -d '{{"text": "What is the capital of France?"}}'

Ctrl-C stops all of it."""


def _program(stack: Stack, user: str, *command: str) -> str:
    """`edgevoice`, by the path of this program, with a command that it does as `user`."""
    broker = stack.mqtt(user).model_dump(mode="json", exclude_defaults=True)
    settings = [f"EDGEVOICE_MQTT__{name.upper()}={shlex.quote(str(value))}" for name, value in broker.items()]
    installed = Path(sys.executable).with_name("edgevoice")
    program = [str(installed)] if installed.exists() else [sys.executable, "-m", "agent"]
    agent = stack.topics.agent
    who = [] if agent == DEFAULT_AGENT else ["--agent", agent]
    return f"{' '.join(settings)} {shlex.join([*program, *command, *who])}"
