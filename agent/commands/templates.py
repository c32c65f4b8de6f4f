"""List, show, save and try the prompt templates of an agent, as its operator."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import difflib
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agent.commands import CommandError, checked, utf8
from agent.commands._broker import add_broker_arguments, read_broker
from agent.commands._operator import Operator, as_operator
from agent.contract.admin import AdminRequest
from agent.contract.catalogue import TemplateInfo
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation, Id
from agent.contract.wire import WireModel

_ABOUT = """\
A template is a prompt with places, {key}, and what goes into them; {user} is the place of the question. Each `put` is a
new version of it, `undo` drops the latest one, and version 0 is as shipped; `.json` at the end of a name is no part of
it. Requests and conversations name a template in `template`, and give in `vars` what is null in it.

Only operators may do this; `edgevoice up` prints how to be one there.

exit status:
  0  done
  1  not done; stderr says why
"""
_VERSION = Annotated[int, Field(ge=0)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with which template, and the broker."""
    parser.epilog = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show which templates there are")
    show = actions.add_parser("show", help="show a template")
    put = actions.add_parser("put", help="save a template as a new version")
    delete = actions.add_parser("delete", help="take a template away; `undo` brings it back")
    undo = actions.add_parser("undo", help="drop the latest version of a template")
    render = actions.add_parser("render", help="show what the model would be asked, without asking it")
    diff = actions.add_parser("diff", help="show what differs between two versions of a template")

    for action in (show, delete, undo, render, diff):
        action.add_argument("name", type=checked(Id), metavar="NAME", help="one of those that `list` shows")
    put.add_argument("name", type=checked(Id), metavar="NAME", help="what requests call it: A-Z, a-z, 0-9, _, . and -")
    put.add_argument("file", metavar="FILE", help="the template, in JSON; - reads it from stdin")
    render.add_argument(
        "text",
        nargs="?",
        type=utf8,
        metavar="QUESTION",
        help="the question (default: the template's own `user`)",
    )
    render.add_argument(
        "--var", action="append", default=[], type=_pair, metavar="KEY=TEXT", help="what goes into a place; repeatable"
    )
    for action in (show, render):
        action.add_argument(
            "--version", type=checked(_VERSION), metavar="N", help="in this version (default: the latest)"
        )
    diff.add_argument(
        "old", nargs="?", type=checked(_VERSION), metavar="OLD", help="version (default: the last but one)"
    )
    diff.add_argument("new", nargs="?", type=checked(_VERSION), metavar="NEW", help="version (default: the latest)")
    for action in (listing, show, put, delete, undo, render):
        action.add_argument("--json", action="store_true", help="for programs")
    for action in (listing, show, put, delete, undo, render, diff):
        add_broker_arguments(action, user="broker user; one of the operators, to change anything")


def run(args: argparse.Namespace) -> int:
    """0 where it is done."""
    actions: dict[str, Callable[[argparse.Namespace, Operator], Awaitable[None]]] = {
        "list": _list,
        "show": _show,
        "put": _put,
        "delete": _delete,
        "undo": _undo,
        "render": _render,
        "diff": _diff,
    }
    mqtt, topics = read_broker(args)
    asyncio.run(as_operator(mqtt, topics, partial(actions[args.action], args)))
    return 0


async def _list(args: argparse.Namespace, operator: Operator) -> None:
    found = await operator.listed()
    if args.json:
        _print_json(found)
        return
    for each in found.templates:
        print(f"{each.name:24} {_version(each):12} {_needs(each)}".rstrip())


async def _show(args: argparse.Namespace, operator: Operator) -> None:
    asked = AdminRequest(name=args.name, version=args.version)
    stored = await operator.stored(AdminOperation.TEMPLATES_GET, asked)
    if args.json:
        _print_json(stored)
    else:
        print(_text(stored.template))


async def _put(args: argparse.Namespace, operator: Operator) -> None:
    await _change(args, operator, AdminOperation.TEMPLATES_PUT, Template.decode(_read(args.file)))


async def _delete(args: argparse.Namespace, operator: Operator) -> None:
    await _change(args, operator, AdminOperation.TEMPLATES_DELETE)


async def _undo(args: argparse.Namespace, operator: Operator) -> None:
    await _change(args, operator, AdminOperation.TEMPLATES_UNDO)


async def _change(
    args: argparse.Namespace, operator: Operator, operation: AdminOperation, template: Template | None = None
) -> None:
    stored = await operator.stored(operation, AdminRequest(name=args.name, template=template))
    if args.json:
        _print_json(stored)
    elif stored.template:
        print(f"{stored.name} is {_version(stored)}")
    else:
        print(f"{stored.name} is gone{'; `undo` brings it back' if stored.versions else ''}")


async def _render(args: argparse.Namespace, operator: Operator) -> None:
    asked = AdminRequest(name=args.name, version=args.version, text=args.text, vars=dict(args.var))
    rendered = await operator.rendered(asked)
    if args.json:
        _print_json(rendered)
    else:
        print(rendered.prompt)


async def _diff(args: argparse.Namespace, operator: Operator) -> None:
    new = await operator.stored(AdminOperation.TEMPLATES_GET, AdminRequest(name=args.name, version=args.new))
    before = [number for number in new.versions or () if number < (new.version or 0)]
    if args.old is None and not before:
        raise CommandError(f"{new.name} is {_version(new)}, and there is none before it")
    wanted = before[-1] if args.old is None else args.old
    old = await operator.stored(AdminOperation.TEMPLATES_GET, AdminRequest(name=args.name, version=wanted))
    lines = difflib.unified_diff(
        _text(old.template).splitlines(),
        _text(new.template).splitlines(),
        f"{old.name} {_version(old)}",
        f"{new.name} {_version(new)}",
        lineterm="",
    )
    print("\n".join(lines))


def _read(file: str) -> bytes:
    """What is in it, without the byte order mark that some editors begin a file with."""
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    return content.removeprefix(codecs.BOM_UTF8)


def _pair(word: str) -> tuple[str, str]:
    key, equals, text = utf8(word).partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{word!r}: write KEY=TEXT")
    return key, text


def _version(info: TemplateInfo) -> str:
    return f"version {info.version}" if info.version else "as shipped"


def _needs(info: TemplateInfo) -> str:
    return f"needs {', '.join(info.needs)}" if info.needs else ""


def _text(template: Template | None) -> str:
    """As people edit it."""
    return json.dumps(template.model_dump(mode="json") if template else None, indent=2, ensure_ascii=False)


def _print_json(found: WireModel) -> None:
    print(json.dumps(found.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False))
