"""The interpreter and its environment: where the odd failures come from."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.site import Site

_LEAST = (3, 10)


def check(site: Site) -> Iterator[Finding]:
    """Version and place of Python, virtual environment, search path."""
    yield python(sys.version_info[:2])
    yield _environment(site)
    if path := site.environ.get("PYTHONPATH"):
        yield _search_path(path)


def python(version: tuple[int, int]) -> Finding:
    """Whether the interpreter is recent enough."""
    found = f"Python {platform.python_version()} on {platform.machine()}, {sys.executable}"
    if version < _LEAST:
        return fail("python", f"{found}; 3.10 or later is needed", "sudo apt-get install python3.10 python3.10-venv")
    return ok("python", found)


def _environment(site: Site) -> Finding:
    inside = sys.prefix != sys.base_prefix
    container = site.in_container
    if inside and container:
        return warn(
            "environment",
            f"the virtual environment {sys.prefix} inside a container: it hides what the image brings (torch, mlc_llm)",
            "python3 -m pip install .   # in EdgeVoice's folder, with the image's own Python",
        )
    where = f"virtual environment {sys.prefix}" if inside else f"no virtual environment, {sys.prefix}"
    return ok("environment", f"{where}, in a container" if container else where)


def _search_path(path: str) -> Finding:
    folders = [folder for folder in path.split(os.pathsep) if folder]
    gone = [folder for folder in folders if not Path(folder).exists()]
    lost = f"; not there: {', '.join(map(shlex.quote, gone))}" if gone else ""
    return warn("PYTHONPATH", f"PYTHONPATH is set and goes before what is installed: {path}{lost}", "unset PYTHONPATH")
