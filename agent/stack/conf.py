"""The shipped files of Mosquitto, and how ours differ from them."""

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


def _placed(line: str, places: Mapping[str, str]) -> str:
    directive = line.partition(" ")[0]
    return f"{directive} {places[directive]}\n" if directive in places else line
