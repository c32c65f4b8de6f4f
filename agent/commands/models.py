"""List the models that can be had, and fetch one."""

from __future__ import annotations

import argparse

from agent.commands import CommandError
from agent.commands.settings import load
from agent.models.catalogue import DEFAULT_MODEL, catalogue
from agent.models.pull import pull

_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, or `pull [NAME]`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show the models that can be had, and which are there")
    fetch = actions.add_parser("pull", help="fetch a model, unless it is there")
    fetch.add_argument(
        "name", nargs="?", default=DEFAULT_MODEL, help=f"one of those that `list` shows (default: {DEFAULT_MODEL})"
    )
    fetch.add_argument("--verify", action="store_true", help="check a model that is there by its checksum")


def run(args: argparse.Namespace) -> int:
    """Does what was asked, and returns 0."""
    models_dir = load().models_dir
    if args.action == "list":
        for model in catalogue().values():
            there = "there" if model.path(models_dir).is_file() else "not there"
            size = f"{model.size_bytes // _MIB} MiB"
            print(f"{model.name}  {model.stage.value}  {size}  {model.license}  {there}  {model.summary}")
        return 0
    if args.name not in catalogue():
        raise CommandError(f"no model {args.name!r} in the catalogue; there are {', '.join(catalogue())}")
    pull(catalogue()[args.name], models_dir, print, verify=args.verify)
    return 0
