"""Runs checks side by side, each within its time; one that breaks is a finding itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent.doctor.finding import Finding, command_in, fail
from agent.doctor.site import Site, pip_install
from agent.errors import UserError

_STARTING = threading.Lock()
"""Checks import their modules one after the other."""


@dataclass(frozen=True)
class Check:
    """One family of checks."""

    run: Callable[[Site], Iterator[Finding]]
    limit_s: float = 5.0
    """Longest time it may take [s]."""
    configured: bool = False
    """Whether it has a meaning only where the settings can be read."""
    network: bool = False
    """Whether it connects to anything."""


@dataclass
class _Running:
    name: str
    check: Check
    thread: threading.Thread
    findings: list[Finding]


def examine(site: Site, checks: Mapping[str, Check]) -> Iterator[Finding]:
    """What each check finds, in the order of the table."""
    started = time.monotonic()
    for running in [_start(site, name, check) for name, check in checks.items()]:
        running.thread.join(max(0.0, started + running.check.limit_s - time.monotonic()))
        late = running.thread.is_alive()
        yield from list(running.findings)
        if late:
            yield fail(running.name, f"no result within {running.check.limit_s:g} s", "edgevoice doctor")


def _start(site: Site, name: str, check: Check) -> _Running:
    findings: list[Finding] = []

    def work() -> None:
        try:
            with _STARTING:
                found = check.run(site)
            findings.extend(found)  # one by one, so that what came before an error or a hang is kept
        except ImportError as exc:
            findings.append(fail(name, f"cannot be looked at: {exc}", pip_install("edgevoice")))
        except UserError as exc:
            findings.append(fail(name, str(exc), command_in(str(exc)) or "edgevoice settings"))
        except Exception as exc:  # noqa: BLE001 - a bug in one check must not hide what the others find
            findings.append(fail(name, f"the check itself failed: {_cause(exc)}", "edgevoice doctor"))

    # A daemon: a check that hangs must not keep the program from ending.
    thread = threading.Thread(target=work, name=f"doctor[{name}]", daemon=True)
    thread.start()
    return _Running(name, check, thread, findings)


def _cause(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
