"""The systemd units, where they are installed; only to be told."""

from __future__ import annotations

from collections.abc import Iterator

from agent.doctor.finding import Finding, ok
from agent.doctor.site import Site

_UNITS = ("edgevoice-agent.service", "edgevoice-bridge.service")
_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def check(site: Site) -> Iterator[Finding]:
    """Which units there are, and whether they run."""
    units = [unit for unit in _UNITS if any(site.file(f"{folder}/{unit}").exists() for folder in _FOLDERS)]
    if not units:
        yield ok("systemd", "no unit of EdgeVoice is installed; systemd/README.md says how")
        return
    states = _states(site, units)
    yield ok("systemd", ", ".join(f"{unit} {state}" for unit, state in zip(units, states, strict=True)))


def _states(site: Site, units: list[str]) -> list[str]:
    installed = ["installed"] * len(units)
    systemctl = site.program("systemctl")
    if systemctl is None or not site.file("/run/systemd/system").is_dir():
        return installed
    try:
        said = site.output([systemctl, "is-active", *units], timeout_s=3.0).stdout.split()
    except OSError:
        return installed
    return said if len(said) == len(units) else installed
