"""Settings that fit a machine: a file each, in the very form of `edgevoice.toml`.

Two of its keys are no settings: `extends`, not the one of topics, names the profile beneath it, which holds all that it
leaves out; `needs` says which models to fetch, and what the machine must have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

_FOLDER = Path(__file__).parent
_EXTENDS = "extends"
_NEEDS = "needs"


class Needs(BaseModel):
    """What a profile takes for granted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...]
    """Models, by their names in the catalogue."""
    memory_bytes: int
    """Memory that its engines take, all loaded [bytes]; about."""


def names() -> list[str]:
    """Every profile."""
    return sorted((path.stem for path in _FOLDER.glob("*.toml")), key=lambda name: (len(name), name))


def settings(name: str) -> dict[str, Any]:
    """The settings of profile `name`; KeyError where there is none."""
    return {section: values for section, values in _read(name).items() if section != _NEEDS}


def needs(name: str) -> Needs:
    """What profile `name` needs; KeyError where there is none."""
    return Needs.model_validate(_read(name)[_NEEDS])


def _read(name: str) -> dict[str, Any]:
    if name not in names():
        raise KeyError(name)
    found = TomlConfigSettingsSource(BaseSettings, _FOLDER / f"{name}.toml").toml_data
    base = found.pop(_EXTENDS, None)
    return _merged(_read(base), found) if base else found


def _merged(beneath: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both, section by section; what is `above` wins."""
    both = {**beneath, **above}
    for name in beneath.keys() & above.keys():
        if isinstance(beneath[name], dict) and isinstance(above[name], dict):
            both[name] = _merged(beneath[name], above[name])
    return both
