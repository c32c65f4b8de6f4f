"""Show every setting: its name, value, default and meaning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from agent.commands import CommandError
from agent.contract.terms import Stage
from agent.settings import Settings

_BRIDGE = "The bridge has settings of its own, EDGEVOICE_BRIDGE_…: bridge/settings.py lists them."
_TEMPLATE_HEADER = """\
# Every setting of the agent, with its default. Copy this to `.env` in the folder the agent is started from, and
# uncomment what is to differ. A real environment variable wins over this file, and this file over `edgevoice.toml`.
# `edgevoice settings` shows what holds; `edgevoice settings --template` wrote this.
"""


@dataclass(frozen=True)
class Setting:
    """One setting, as an operator sees it."""

    name: str
    """Of its environment variable."""
    value: str
    default: str
    meaning: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    parser.add_argument("--template", action="store_true", help="as a `.env` file of defaults, all commented out")


def run(args: argparse.Namespace) -> int:
    """Prints and returns 0."""
    print(template() if args.template else "\n".join(_report(load())), end="" if args.template else "\n")
    return 0


def load() -> Settings:
    """The settings as they are here; CommandError names the first that is wrong."""
    try:
        return Settings()
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        name = _variable(*(str(part) for part in fault["loc"]))
        raise CommandError(f"setting {name}: {fault['msg']}; `edgevoice settings --template` lists them all") from exc
    except ValueError as exc:  # JSON in a variable, or TOML, that cannot be read
        raise CommandError(f"settings: {exc}") from exc


def template() -> str:
    """The text of `.env.template`."""
    defaults = Settings.model_construct(home=Path("~/.local/share/edgevoice"))
    settings = (f"# {one.meaning}\n# {one.name}={one.default}\n" for one in _walk(defaults, defaults))
    return "\n".join([_TEMPLATE_HEADER, *settings, f"# {_BRIDGE}\n"])


def _report(settings: Settings) -> Iterator[str]:
    for setting in _walk(settings, Settings.model_construct()):
        changed = "" if setting.value == setting.default else f"   (default: {setting.default or 'none'})"
        yield f"{setting.name}={setting.value}{changed}\n    {setting.meaning}"
    yield "\nOptions of each engine, for EDGEVOICE_<STAGE>__OPTIONS, a JSON object:"
    for stage in Stage:
        for engine, options in _engines(stage):
            yield f"\n{stage.value}: {engine}"
            yield from (_option(name, field) for name, field in options.model_fields.items())
    yield f"\n{_BRIDGE}"


def _engines(stage: Stage) -> Iterator[tuple[str, type[BaseModel]]]:
    # Imported here: it brings numpy, and `load` is for commands that are to start at once.
    from agent.engines.registry import leaves  # noqa: PLC0415

    for name, engine in leaves(stage).items():
        yield name, engine.Options


def _option(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return f"  {name}={_text(default) or 'none'}\n    {_one_line(field.description)}"


def _walk(values: BaseModel, defaults: BaseModel, *path: str) -> Iterator[Setting]:
    for name, field in type(values).model_fields.items():
        value, default = getattr(values, name), getattr(defaults, name)
        if isinstance(value, BaseModel):
            yield from _walk(value, default, *path, name)
        else:
            yield Setting(_variable(*path, name), _text(value), _text(default), _one_line(field.description))


def _text(value: Any) -> str:
    """As it would stand in the environment; a secret as asterisks, nothing as nothing."""
    plain = to_jsonable_python(value)
    return "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain)


def _variable(*path: str) -> str:
    return "EDGEVOICE_" + "__".join(path).upper()


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
