"""The package says of itself what it is, to whichever tool installs it."""

import re
from pathlib import Path

from agent import __version__

PROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")


def test_its_version_is_the_one_it_tells():
    assert re.findall(r'^version = "(.*?)"', PROJECT, re.MULTILINE) == [__version__]
