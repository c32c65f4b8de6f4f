"""Show every setting: its name, value, default and meaning."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings, SettingsError

from agent.contract.docs import field_docs
from agent.contract.terms import Stage
from agent.contract.wire import first_fault
from agent.errors import BadSettings
from agent.settings import Settings

_BRIDGE = "bridge.settings:BridgeSettings"
"""A name, looked up when asked for: the agent's code imports nothing of the bridge."""
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

_Settings = TypeVar("_Settings", bound=BaseSettings)


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


def load() -> Settings:
    """The agent's settings as they are here; BadSettings names the first that is wrong."""
    return _read(Settings)


def load_bridge() -> Any:
    """The bridge's settings as they are here; BadSettings names the first that is wrong."""
    return _read(_bridge())


def template() -> str:
    """The text of `.env.template`."""
    agent = Settings.model_construct(home=Path("~/.local/share/edgevoice"))
    settings = (setting for defaults in (agent, _bridge().model_construct()) for setting in _all(defaults, defaults))
    return "\n".join([_TEMPLATE, *(f"# {one.meaning}\n# {one.name}={one.default}\n" for one in settings)])


def _report() -> Iterator[str]:
    bridge = _bridge()
    yield from _section(load(), Settings.model_construct())
    yield "\nOptions of each engine, for EDGEVOICE_<STAGE>__OPTIONS, a JSON object:"
    for stage in Stage:
        for engine, options in _engines(stage):
            yield f"\n{stage.value}: {engine}"
            yield from (_option(name, field) for name, field in options.model_fields.items())
    yield "\nThe bridge:\n"
    yield from _section(_read(bridge), bridge.model_construct())


def _section(settings: BaseSettings, defaults: BaseSettings) -> Iterator[str]:
    for setting in _all(settings, defaults):
        changed = "" if setting.value == setting.default else f"   (default: {setting.default or 'none'})"
        yield f"{setting.name}={setting.value}{changed}\n    {setting.meaning}"


def _bridge() -> type[BaseSettings]:
    settings: type[BaseSettings] = resolve_name(_BRIDGE)
    return settings


def _read(settings: type[_Settings]) -> _Settings:
    try:
        return settings()
    except ValidationError as exc:
        field, message = first_fault(exc)
        name = f"setting {_variable(settings, *field.split('.'))}" if field else "settings"
        raise BadSettings(f"{name}: {message}; `edgevoice settings --template` lists them all") from exc
    except SettingsError as exc:
        raise BadSettings(_not_json(settings, exc)) from exc
    except ValueError as exc:
        raise BadSettings(f"{_file_at_fault()} cannot be read: {exc}") from exc


def _not_json(settings: type[BaseSettings], exc: SettingsError) -> str:
    # The error names only the outermost field, as in: error parsing value for field "stt" from source "…"
    field, fault = str(exc).split('"')[1], exc.__cause__
    variable = _variable(settings, field)
    if not isinstance(fault, json.JSONDecodeError):
        return f"setting {variable}: {exc}"
    inner = (name for name, value in os.environ.items() if value == fault.doc and name.startswith(f"{variable}__"))
    return f"setting {next(inner, variable)}: JSON is expected there ({fault})"


def _file_at_fault() -> Path:
    """`.env` has no grammar to break, so it is the one only where it is no text."""
    env = Path(".env")
    try:
        env.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return env
    except OSError:
        pass
    return Path(os.environ.get("EDGEVOICE_SETTINGS", "edgevoice.toml"))


def _engines(stage: Stage) -> Iterator[tuple[str, type[BaseModel]]]:
    # Imported here: it brings numpy, and `load` is for commands that are to start at once.
    from agent.engines.registry import leaves  # noqa: PLC0415

    for name, engine in leaves(stage).items():
        yield name, engine.Options


def _option(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return f"  {name}={_text(default) or 'none'}\n    {_one_line(field.description)}"


def _all(settings: BaseSettings, defaults: BaseSettings) -> Iterator[Setting]:
    for path, meaning, value, default in _leaves(settings, defaults):
        name = _variable(type(settings), *path)
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


def _variable(settings: type[BaseSettings], *path: str) -> str:
    # What `.env` has beside the settings stands there under its own name.
    prefix, name = settings.model_config["env_prefix"], "__".join(path).upper()
    return name if name.startswith(prefix) else prefix + name


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
