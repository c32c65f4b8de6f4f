"""Templates that are there without anybody's doing: a file each, in the form in which they are sent and saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.contract.templates import Template

_FOLDER = Path(__file__).parent


def shipped() -> Mapping[str, Template]:
    """Each by its name."""
    return {path.stem: Template.decode(path.read_bytes()) for path in sorted(_FOLDER.glob("*.json"))}
