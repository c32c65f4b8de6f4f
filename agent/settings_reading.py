"""Reads settings as they are here; what is wrong is named as people write it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from agent.contract.wire import first_fault
from agent.errors import BadSettings
from agent.settings import Settings

_BRIDGE = "bridge.settings:BridgeSettings"
"""A name, looked up when asked for: the agent's code imports nothing of the bridge."""

_Settings = TypeVar("_Settings", bound=BaseSettings)


def load() -> Settings:
    """The agent's settings as they are here; BadSettings names the first that is wrong."""
    return _read(Settings)


def load_bridge() -> Any:
    """The bridge's settings as they are here; BadSettings names the first that is wrong."""
    return _read(bridge_settings())


def bridge_settings() -> type[BaseSettings]:
    """What the bridge's settings are."""
    settings: type[BaseSettings] = resolve_name(_BRIDGE)
    return settings


def variable_of(settings: type[BaseSettings], *path: str) -> str:
    """The environment variable of the setting at `path`."""
    # What `.env` has beside the settings stands there under its own name.
    prefix, name = settings.model_config["env_prefix"], "__".join(path).upper()
    return name if name.startswith(prefix) else prefix + name


def _read(settings: type[_Settings]) -> _Settings:
    try:
        return settings()
    except ValidationError as exc:
        field, message = first_fault(exc)
        name = f"setting {variable_of(settings, *field.split('.'))}" if field else "settings"
        raise BadSettings(f"{name}: {message}; `edgevoice settings --template` lists them all") from exc
    except SettingsError as exc:
        raise BadSettings(_not_json(settings, exc)) from exc
    except ValueError as exc:
        raise BadSettings(f"{_file_at_fault()} cannot be read: {exc}") from exc


def _not_json(settings: type[BaseSettings], exc: SettingsError) -> str:
    # The error names only the outermost field, as in: error parsing value for field "stt" from source "…"
    field, fault = str(exc).split('"')[1], exc.__cause__
    variable = variable_of(settings, field)
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
