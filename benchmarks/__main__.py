"""Runs every benchmark: `python -m benchmarks`, which `make bench` calls."""

from __future__ import annotations

import argparse
import asyncio
import sys

from agent.stack import until_signalled
from benchmarks import round_trip

_BENCHMARKS = {"round_trip": round_trip}


async def _run_all(arguments: argparse.Namespace) -> int:
    return max([await benchmark.run(arguments) for benchmark in _BENCHMARKS.values()])


def main() -> int:
    """The worst exit status of all."""
    summaries = "\n".join(f"  {name}: {(b.__doc__ or '').splitlines()[0]}" for name, b in _BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=f"Runs every benchmark:\n{summaries}",
        epilog="Each also runs by itself: python -m benchmarks.NAME --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    round_trip.add_arguments(parser)
    return asyncio.run(until_signalled(_run_all(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
