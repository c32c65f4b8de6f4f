"""Show every setting: its name, value, default and meaning."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings

from agent.contract.docs import field_docs
from agent.contract.terms import Stage
from agent.engines.registry import leaves
from agent.settings import Settings
from agent.settings_reading import bridge_settings, load, load_bridge, variable_of

_TEMPLATE = """\
# Every setting of the agent, then of the bridge, with its default. Copy this to `.env` in the folder they are started
# from, and uncomment what is to differ. A real environment variable wins over this file, and this file over
# `edgevoice.toml`, which only the agent reads. `edgevoice settings` shows what holds; `edgevoice settings --template`
# wrote this. `set -a; . ./.env; set +a` puts it into the shell's environment, for other programs.
#
# Beside these there is HF_TOKEN, the token for models of Hugging Face that ask for one; it belongs in the environment,
# or in a file that EDGEVOICE_HF_TOKEN_FILE names.
"""

_SECRET = re.compile(r"(^|_)(key|token|secret|password)$", re.IGNORECASE)
_LOGIN = re.compile(r"(\w://)[^/@\s]+@")
_STARS = "**********"


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
    print(template() if args.template else "\n".join(_report()) + "\n", end="")
    return 0


def template() -> str:
    """The text of `.env.template`."""
    agent = Settings.model_construct(home=Path("~/.local/share/edgevoice"))
    bridge = bridge_settings().model_construct()
    settings = (setting for defaults in (agent, bridge) for setting in _all(defaults, defaults))
    return "\n".join([_TEMPLATE, *(f"# {one.meaning}\n# {one.name}={one.default}\n" for one in settings)])


def _report() -> Iterator[str]:
    yield from _section(load(), Settings.model_construct())
    yield "\nOptions of each engine, for EDGEVOICE_<STAGE>__OPTIONS, a JSON object:"
    for stage in Stage:
        for name, engine in leaves(stage).items():
            yield f"\n{stage.value}: {name}"
            yield from (_option(option, field) for option, field in engine.Options.model_fields.items())
    yield "\nThe bridge:\n"
    yield from _section(load_bridge(), bridge_settings().model_construct())


def _section(settings: BaseSettings, defaults: BaseSettings) -> Iterator[str]:
    for setting in _all(settings, defaults):
        changed = "" if setting.value == setting.default else f"   (default: {setting.default or 'none'})"
        yield f"{setting.name}={setting.value}{changed}\n    {setting.meaning}"


def _option(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return f"  {name}={_text(default) or 'none'}\n    {_one_line(field.description)}"


def _all(settings: BaseSettings, defaults: BaseSettings) -> Iterator[Setting]:
    for path, meaning, value, default in _leaves(settings, defaults):
        name = variable_of(type(settings), *path)
        yield Setting(name, _text(value), _text(default), _one_line(meaning))


def _leaves(values: BaseModel, defaults: BaseModel, *path: str) -> Iterator[tuple[tuple[str, ...], str, Any, Any]]:
    meanings = field_docs(type(values))
    for name in type(values).model_fields:
        value, default = getattr(values, name), getattr(defaults, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, default, *path, name)
        else:
            yield (*path, name), meanings.get(name, ""), value, default


def _text(value: Any) -> str:
    """As it would stand in the environment; a secret as asterisks, nothing as nothing."""
    plain = _masked(to_jsonable_python(value))
    return "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain)


def _masked(plain: Any) -> Any:
    """`plain` without what an engine's options or environment hold that nobody is to see."""
    if isinstance(plain, dict):
        return {key: _STARS if _SECRET.search(key) else _masked(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_masked(value) for value in plain]
    return _LOGIN.sub(rf"\1{_STARS}@", plain) if isinstance(plain, str) else plain


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
