"""MLC LLM and TVM: whether they can be imported, and if not, why."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from agent.doctor.finding import Finding, bad, ok, one_line
from agent.doctor.gpu import has_nvidia
from agent.doctor.site import Site

ENGINE = "mlc"
_IMPORT_S = 25.0
_STUBS = ("mlc-llm", "mlc-ai", "mlc-llm-nightly", "mlc-ai-nightly", "mlc-chat")
_LIBRARY = re.compile(r"(\S+\.so[\w.]*): cannot open shared object file")
_GUIDE = "less systemd/README.md   # how MLC LLM gets onto this machine"
# Run in a process of its own: a broken build may end it, or keep it for ever.
_PROGRAM = """
import importlib, json, sys
found = {}
for name in ("tvm", "mlc_llm"):
    try:
        module = importlib.import_module(name)
        found[name] = {"version": getattr(module, "__version__", None), "file": getattr(module, "__file__", None)}
    except BaseException as exc:
        found[name] = {"error": type(exc).__name__, "message": str(exc), "name": getattr(exc, "name", None)}
try:
    found["cuda"] = bool(sys.modules["tvm"].cuda(0).exist)
except BaseException:
    found["cuda"] = None
sys.stdout.write("\\n" + json.dumps(found) + "\\n")
"""


def check(site: Site) -> Iterator[Finding]:
    """`tvm` and `mlc_llm`, tried in a process of their own."""
    asked = ENGINE in site.named
    there = [name for name in ("tvm", "mlc_llm") if find_spec(name)]
    if not there:
        yield _absent(site, asked=asked)
        return
    found = _tried(site)
    if isinstance(found, str):
        yield bad("mlc", found, _GUIDE, asked=asked)
        return
    broken = [_reason(name, found[name]) for name in ("tvm", "mlc_llm") if not _imported(found[name])]
    if broken:
        message, fix = broken[0]
        yield bad("mlc", message, fix, asked=asked)
        return
    yield from _good(site, found, asked=asked)


def _absent(site: Site, *, asked: bool) -> Finding:
    if find_spec("mlc_chat"):
        message = "mlc_chat is installed, a version of MLC LLM before 2024 that cannot be used any more"
        return bad("mlc", message, _GUIDE, asked=asked)
    if stubs := [f"{name} {version}" for name in _STUBS if (version := _version(name))]:
        message = f"{', '.join(stubs)} from the package index is an empty package without the module mlc_llm"
        names = " ".join(stub.partition(" ")[0] for stub in stubs)
        return bad("mlc", message, f"{sys.executable} -m pip uninstall {names}   # then systemd/README.md", asked=asked)
    if asked or has_nvidia(site):
        return bad("mlc", "MLC LLM is not installed: no module mlc_llm, no module tvm", _GUIDE, asked=asked)
    return ok("mlc", "not installed; only `llm: mlc` needs it")


def _tried(site: Site) -> dict[str, Any] | str:
    """What the imports gave, or why there is no telling."""
    environment = {**site.environ, **site.settings.llm.environment}
    try:
        done = replace(site, environ=environment).output([sys.executable, "-c", _PROGRAM], timeout_s=_IMPORT_S)
    except OSError as exc:
        return f"importing tvm and mlc_llm was tried in vain: {exc.strerror or exc}"
    if done.returncode < 0:
        return f"importing tvm and mlc_llm ended Python with {signal.Signals(-done.returncode).name}"
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, LookupError):
        return f"importing tvm and mlc_llm ended Python: {one_line(done.stderr[-200:]) or 'without a word'}"
    return found


def _imported(module: dict[str, Any]) -> bool:
    return "error" not in module and module["file"] is not None


def _reason(name: str, module: dict[str, Any]) -> tuple[str, str]:
    if "error" not in module:
        return f"{name} is a folder without code in it", f"{sys.executable} -c 'import {name}; print({name}.__path__)'"
    message = one_line(module["message"])
    if library := _LIBRARY.search(message):
        return f"`import {name}` fails: the shared library {library[1]} is not found", _bringing(library[1])
    if module["error"] == "ModuleNotFoundError" and module["name"] == name:
        stub = f"; {name.replace('_', '-')} {version} is an empty package" if (version := _stub(name)) else ""
        return f"`import {name}` fails: there is no module {name}{stub}", _GUIDE
    again = f"{sys.executable} -c 'import {name}'"
    return f"`import {name}` fails: {module['error']}: {message}", again


def _bringing(library: str) -> str:
    if library.startswith(("libcudart", "libcublas", "libcudnn", "libnvrtc", "libcuda.")):
        return f"sudo apt-get install nvidia-jetpack   # or the CUDA release that has {library}"
    return f"ldconfig -p | grep {library.partition('.so')[0]}   # and install what brings {library}"


def _good(site: Site, found: dict[str, Any], *, asked: bool) -> Iterator[Finding]:
    versions = ", ".join(f"{name} {found[name]['version'] or '(no version)'}" for name in ("mlc_llm", "tvm"))
    if found["cuda"] is False and has_nvidia(site):
        message = f"{versions} can be imported, and TVM sees no CUDA device: it would run on the CPU"
        yield bad("mlc", message, _GUIDE, asked=asked)
    else:
        yield ok("mlc", f"{versions} can be imported" + (", TVM sees a CUDA device" if found["cuda"] else ""))


def _stub(module: str) -> str | None:
    return _version(module.replace("_", "-"))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
