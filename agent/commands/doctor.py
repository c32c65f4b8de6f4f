"""Check this machine and say what to mend."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from agent.contract.wire import first_fault
from agent.doctor.checks import CHECKS
from agent.doctor.examine import examine
from agent.doctor.finding import Finding, Level, fail, ok
from agent.doctor.site import BridgeSettings, Site
from agent.errors import UserError
from agent.settings import Settings
from agent.settings_reading import load

_BRIDGE = "bridge.settings:BridgeSettings"
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
_LEVEL_COLUMNS = 6
_NAME_COLUMNS = 18


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to report, and what to leave out."""
    parser.add_argument("--json", action="store_true", help="as a list of objects, for programs")
    parser.add_argument("--no-broker", action="store_true", help="connect to no broker")
    parser.epilog = (
        "Nothing is changed. Run it as the user of the agent, with the agent's environment. The broker is asked as the "
        "agent's user, and as the bridge's where its password is among the settings, on topics of an agent and of a "
        "client that do not exist. The exit status is 1 where anything fails, else 0."
    )


def run(args: argparse.Namespace) -> int:
    """0 where nothing fails."""
    settings, told = _settings()
    bridge, told_of_bridge = _bridge()
    checks = {
        name: check
        for name, check in CHECKS.items()
        if (settings or not check.configured) and not (args.no_broker and check.network)
    }
    site = Site(settings or Settings.model_construct(), bridge)
    findings = chain(told, told_of_bridge, examine(site, checks))
    levels = _print_json(findings) if args.json else _print(findings, Console(highlight=False))
    return 1 if levels[Level.FAIL] else 0


def _settings() -> tuple[Settings | None, list[Finding]]:
    try:
        settings = load()
    except UserError as exc:
        return None, [fail("settings", str(exc), "edgevoice settings --template")]
    files = [file for file in (".env", os.environ.get("EDGEVOICE_SETTINGS", "edgevoice.toml")) if Path(file).is_file()]
    return settings, [ok("settings", f"read from {', '.join(['the environment', *files])}")]


def _bridge() -> tuple[BridgeSettings | None, list[Finding]]:
    try:
        return resolve_name(_BRIDGE)(), []
    except ValidationError as exc:
        field, message = first_fault(exc)
        name = f"EDGEVOICE_BRIDGE_{field.replace('.', '__').upper()}: " if field else ""
    except ValueError as exc:
        name, message = "", str(exc)
    return None, [fail("bridge settings", f"{name}{message}", "edgevoice settings --template")]


def _print_json(findings: Iterable[Finding]) -> Counter[Level]:
    found = list(findings)
    print(json.dumps([asdict(finding) for finding in found], indent=2))
    return Counter(finding.level for finding in found)


def _print(findings: Iterable[Finding], console: Console) -> Counter[Level]:
    """A line each, as it is found, and the fix below."""
    levels: Counter[Level] = Counter()
    for finding in findings:
        levels[finding.level] += 1
        level = (f"{finding.level.value:{_LEVEL_COLUMNS}}", _STYLES[finding.level])
        console.print(Text.assemble(level, f"{finding.name:{_NAME_COLUMNS}} {finding.message}"), soft_wrap=True)
        if finding.fix:
            fix = f"{'':{_LEVEL_COLUMNS}}{'fix:':{_NAME_COLUMNS}} "
            console.print(Text.assemble(fix, (finding.fix, "cyan")), soft_wrap=True)
    console.print(", ".join(f"{levels[level]} {level.value}" for level in Level))
    return levels
