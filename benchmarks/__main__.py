"""Runs every benchmark: `python -m benchmarks`, which `make bench` calls."""

from __future__ import annotations

import argparse
import asyncio
import sys
from types import ModuleType

from agent.signals import until_signalled
from benchmarks import (
    arriving,
    burst,
    callers,
    engines,
    first_audio,
    journal,
    load,
    memory,
    neighbour,
    payload,
    prefix,
    round_trip,
    short_clips,
    stt,
    weights,
)

_BENCHMARKS: tuple[ModuleType, ...] = (
    *(round_trip, callers, payload, first_audio, load, weights, stt, memory, arriving, prefix, neighbour),
    *(journal, burst, engines, short_clips),
)


async def _run_all(*, quick: bool) -> int:
    statuses: list[int] = []
    for benchmark in _BENCHMARKS:
        parser = argparse.ArgumentParser()
        benchmark.add_arguments(parser)
        statuses.append(await benchmark.run(parser.parse_args(["--quick"] if quick else [])))
    return max(statuses)


def main() -> int:
    """The worst exit status of all."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Runs every benchmark. Each also runs by itself, and tells with --help what it compares.",
        epilog=f"The benchmarks: {', '.join(f'python -m {benchmark.__name__}' for benchmark in _BENCHMARKS)}",
    )
    parser.add_argument("--quick", action="store_true", help="everything once: rough")
    return asyncio.run(until_signalled(_run_all(quick=parser.parse_args().quick)))


if __name__ == "__main__":
    sys.exit(main())
