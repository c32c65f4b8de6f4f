"""Kills everything at random for minutes, and judges what came of it: `python -m tests.chaos`, or `make chaos`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import paho.mqtt
from rich.console import Console

from agent import __version__
from agent.signals import until_signalled
from agent.stack import Part
from tests.chaos.trials import PER_S, Outcome, Tell, burst, killed, restarted, soak

_QUICKEST_MIN = 1.0
_FEWEST, _MOST = 1_000, 3_000
"""Requests that all parts are killed under."""


def main() -> int:
    """1 where a promise was broken."""
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0, help="about how long; an hour for the long soak")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000), help="of the kills")
    parser.add_argument("--only", metavar="ID", help="one row: R1, R3, R4, L1 or L4")
    args = parser.parse_args()
    logging.getLogger("agent").addHandler(logging.NullHandler())  # that connections are lost is the point
    return asyncio.run(until_signalled(_run(max(_QUICKEST_MIN, args.minutes), args.seed, args.only)))


async def _run(minutes: float, seed: int, only: str | None) -> int:
    tell = partial(Console(highlight=False, markup=False).print, soft_wrap=True)
    tell(f"seed {seed}; {_versions()}")
    outcomes = []
    for name, each in _plan(minutes, seed).items():
        if only not in {None, name}:
            continue
        tell(f"{name} …")
        with tempfile.TemporaryDirectory(prefix="edgevoice-chaos-", ignore_cleanup_errors=True) as folder:
            outcomes.append(await each(Path(folder), tell))
        tell(f"{name}: {outcomes[-1].counts}")
    tell(f"\nseed {seed}; {_versions()}\n\n{_table(outcomes)}")
    return int(any(outcome.broken for outcome in outcomes))


def _plan(minutes: float, seed: int) -> dict[str, Callable[[Path, Tell], Awaitable[Outcome]]]:
    """A quarter of the time for kills of everything, within bounds; the longest part of the rest for the soak."""
    requests = min(_MOST, max(_FEWEST, round(minutes * 60 / 4 * PER_S)))
    soak_s = max(60.0, minutes * 60 - 1.5 * requests / PER_S - 45)
    return {
        "R1": partial(killed, catalogue_id="R1", requests=requests // 4, parts=(Part.AGENT,), seed=seed),
        "R3": partial(killed, catalogue_id="R2, R3", requests=requests, parts=tuple(Part), seed=seed),
        "R4": partial(restarted, requests=requests // 4, seed=seed),
        "L1": burst,
        "L4": partial(soak, seconds=soak_s),
    }


def _versions() -> str:
    mosquitto = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    return (
        f"EdgeVoice {__version__}, {mosquitto}, paho {paho.mqtt.__version__}, SQLite {sqlite3.sqlite_version},"
        f" Python {platform.python_version()}"
    )


def _table(outcomes: list[Outcome]) -> str:
    """In Markdown, a row a line."""
    rows = [("id", "what was done", "what came of it", "verdict"), ("---",) * 4]
    rows += [(each.catalogue_id, each.done, each.counts, "; ".join(each.broken) or "kept") for each in outcomes]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
