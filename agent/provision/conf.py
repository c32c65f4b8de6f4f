"""The shipped files of Mosquitto, how others differ from them, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def shipped(name: str) -> str:
    """The text of a file of `mosquitto/`: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "shipped" / "mosquitto" / name
    file = installed if installed.is_file() else package.parent / "mosquitto" / name
    return file.read_text(encoding="utf-8")


def render(conf: str, places: Mapping[str, str]) -> str:
    """`conf` with the value of each directive in `places`; all else, comments too, as it is."""
    return "".join(_placed(line, places) for line in conf.splitlines(keepends=True))


def values(conf: str, directive: str) -> list[str]:
    """What each line of `directive` says, in order."""
    lines = (line.strip().partition(" ") for line in conf.splitlines())
    return [value.strip() for name, _, value in lines if name == directive]


def ports(conf: str) -> list[int]:
    """The TCP port of each listener, in order."""
    return [int(value.split()[0]) for value in values(conf, "listener") if value.split()[0].isdecimal()]


def _placed(line: str, places: Mapping[str, str]) -> str:
    directive = line.partition(" ")[0]
    return f"{directive} {places[directive]}\n" if directive in places else line
