"""Runs every benchmark: `python -m benchmarks`, which `make bench` calls."""

from __future__ import annotations

import argparse
import asyncio
import sys

from agent.signals import until_signalled
from benchmarks import round_trip

_BENCHMARKS = {round_trip.__name__: round_trip.run}


async def _run_all(arguments: argparse.Namespace) -> int:
    return max([await run(arguments) for run in _BENCHMARKS.values()])


def main() -> int:
    """The worst exit status of all."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Runs every benchmark. Each also runs by itself, and tells with --help what it compares.",
        epilog=f"The benchmarks: {', '.join(f'python -m {name}' for name in _BENCHMARKS)}",
    )
    round_trip.add_arguments(parser)
    return asyncio.run(until_signalled(_run_all(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
