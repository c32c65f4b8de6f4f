"""The packages that EdgeVoice and each of its extras ask for, as its own metadata lists them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from operator import eq, ge, gt, le, lt, ne

from agent.doctor.finding import Finding, bad, ok, warn
from agent.doctor.site import Site, pip_install

_DISTRIBUTION = "edgevoice"
_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_Numbers = tuple[int, ...]
_COMPARE: Mapping[str, Callable[[_Numbers, _Numbers], bool]] = {
    ">=": ge,
    "~=": ge,
    ">": gt,
    "<=": le,
    "<": lt,
    "==": eq,
    "===": eq,
    "!=": ne,
}
_PYTHON = re.compile(r"""python_version\s*(<|<=|>|>=|==)\s*["']([\d.]+)["']""")


@dataclass(frozen=True)
class Requirement:
    """One package that is asked for; as much of the grammar as our own metadata uses."""

    text: str
    """As pip takes it."""
    name: str
    bounds: tuple[tuple[str, str], ...]
    """Operator and version, all of which must hold."""
    extra: str | None
    wanted: bool
    """Whether this Python is one that needs it."""

    @classmethod
    def parse(cls, line: str) -> Requirement | None:
        """None where the line is in a grammar we do not read."""
        found = _REQUIREMENT.match(line)
        if found is None:
            return None
        name, bounds, marker = found[1], found[2], found[3] or ""
        extra, python = _EXTRA.search(marker), _PYTHON.search(marker)
        return cls(
            text=line.partition(";")[0].strip(),
            name=name,
            bounds=tuple(re.findall(r"(===|[<>=!~]=|[<>])\s*([^\s,]+)", bounds)),
            extra=extra[1] if extra else None,
            wanted=python is None or _holds(".".join(map(str, sys.version_info[:2])), python[1], python[2]),
        )

    def met_by(self, version: str) -> bool:
        """Whether `version` is one of those that are asked for."""
        return all(_holds(version, operator, bound) for operator, bound in self.bounds)


def check(site: Site) -> Iterator[Finding]:
    """A line for the base and for each extra, and one for each package that is wrong."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield warn("packages", "EdgeVoice runs from a folder and is not installed", pip_install("-e", "."))
        return
    requirements = [parsed for parsed in map(Requirement.parse, lines) if parsed and parsed.wanted]
    extras = sorted({one.extra for one in requirements if one.extra})
    yield from _group("base", [one for one in requirements if one.extra is None], asked=True)
    for extra in extras:
        needed = [one for one in requirements if one.extra == extra]
        yield from _group(extra, needed, asked=any(_brings(extra, needed, engine) for engine in site.named))


def _group(extra: str, requirements: Iterable[Requirement], *, asked: bool) -> Iterator[Finding]:
    there, missing = [], []
    for one in requirements:
        version = _version(one.name)
        if version is None:
            missing.append(one)
        elif one.met_by(version):
            there.append(f"{one.name} {version}")
        else:
            message = f"{one.name} {version} is too old or too new; {one.text} is asked for"
            yield bad(f"packages {extra}", message, pip_install(one.text), asked=asked)
    if missing:
        target = f"edgevoice[{extra}]" if extra != "base" else _DISTRIBUTION
        found = f"; there are {', '.join(there)}" if there else ""
        message = f"{', '.join(one.name for one in missing)} not installed{found}"
        yield bad(f"packages {extra}", message, pip_install(target), asked=asked)
    elif there:
        yield ok(f"packages {extra}", ", ".join(there))


def _brings(extra: str, requirements: Iterable[Requirement], engine: str) -> bool:
    """Whether the extra is where `engine` comes from: packages are called like the engine, or nearly."""
    return extra == engine or any(engine in one.name for one in requirements)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _holds(version: str, operator: str, bound: str) -> bool:
    return _COMPARE[operator](_numbers(version), _numbers(bound))


def _numbers(version: str) -> _Numbers:
    """The numbers of a release, without zeros at its end: 2.10.0rc1 is (2, 10)."""
    released = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in released[0].split(".")] if released else [0]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
