"""List the models that can be had, and fetch one."""

from __future__ import annotations

import argparse
import sys

from agent.commands.settings import load
from agent.models.catalogue import catalogue
from agent.models.pull import PullError, pull

_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, or `pull NAME`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show the models that can be had, and which are there")
    fetch = actions.add_parser("pull", help="fetch a model, unless it is there")
    fetch.add_argument("name", help="one of those that `list` shows")
    fetch.add_argument("--verify", action="store_true", help="check a model that is there by its checksum")


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 1 where a model could not be fetched."""
    settings = load()
    if args.action == "list":
        for model in catalogue().values():
            there = "there" if model.path(settings.home).is_file() else "not there"
            size = f"{model.size_bytes // _MIB} MiB"
            print(f"{model.name}  {model.stage.value}  {size}  {model.license}  {there}  {model.summary}")
        return 0
    try:
        pull(args.name, settings.home, print, verify=args.verify)
    except PullError as exc:
        print(f"edgevoice models: {exc}", file=sys.stderr)
        return 1
    return 0
