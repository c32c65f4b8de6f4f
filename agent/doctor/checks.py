"""Every check, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pkgutil import resolve_name

from agent.doctor.examine import Check
from agent.doctor.finding import Finding
from agent.doctor.site import Site


def _of(module: str) -> Callable[[Site], Iterator[Finding]]:
    """Imported only when it runs: a package that is missing must not keep the others from being looked at."""

    def check(site: Site) -> Iterator[Finding]:
        found: Iterator[Finding] = resolve_name(f"agent.doctor.{module}:check")(site)
        return found

    return check


CHECKS: Mapping[str, Check] = {
    "python": Check(_of("interpreter")),
    "packages": Check(_of("packages")),
    "gpu": Check(_of("gpu"), limit_s=9.0),
    "engines": Check(_of("engines"), limit_s=10.0, configured=True),
    "models": Check(_of("models"), limit_s=10.0, configured=True),
    "mlc": Check(_of("mlc"), limit_s=30.0),
    "machine": Check(_of("room"), configured=True),
    "ports": Check(_of("ports"), configured=True),
    "broker": Check(_of("broker"), limit_s=20.0, configured=True, network=True),
    "systemd": Check(_of("systemd")),
}
"""Each family by its name."""
