"""The commands of `edgevoice`, a module each, imported only when it is the one to run.

Each has `add_arguments(parser)` and `run(args) -> int`, the exit status.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from agent.contract.wire import first_fault
from agent.errors import UserError

COMMANDS = {
    "up": "Start broker, agent and bridge here, to try them out, until Ctrl-C.",
    "demo": "Ask four questions, typed and spoken, over MQTT and HTTP, and show how they are answered.",
    "ask": "Ask an agent through any broker: in text or with a WAV file.",
    "eval": "Ask an agent a suite of questions, hold the answers against what is expected, and compare configurations.",
    "agent": "Run the agent.",
    "bridge": "Run the HTTP bridge.",
    "keys": "Make, list and revoke the API keys of the HTTP bridge.",
    "models": "List the models that can be had, fetch, check and remove them.",
    "templates": "List, show, save and try the prompt templates of an agent, as its operator.",
    "provision": "Give a device, a program or an operator access to the broker, or take it away.",
    "status": "Show what runs on this machine, and how the agent fares.",
    "doctor": "Check this machine and say what to mend.",
    "settings": "Show every setting: its name, value, default and meaning.",
}
"""Each command's name, and its help: the docstring of its module."""


class CommandError(UserError):
    """A command that was asked for what it cannot do."""


PORT = Annotated[int, Field(ge=1, le=65_535)]


def utf8(word: str) -> str:
    """A type for argparse: text that can be sent. Bytes that are none are in it as lone surrogates."""
    if any("\ud800" <= char <= "\udfff" for char in word):
        raise argparse.ArgumentTypeError("not UTF-8; type it in a terminal that is set to UTF-8")
    return word


def checked(kind: Any) -> Callable[[str], Any]:
    """A type for argparse, of a type as pydantic has it: what breaks its rules is refused at once."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def parse(word: str) -> Any:
        try:
            return adapter.validate_python(word)
        except ValidationError as exc:
            raise argparse.ArgumentTypeError(f"{word!r}: {first_fault(exc)[1]}") from exc

    return parse
