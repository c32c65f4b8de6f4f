"""What the commands of all benchmarks have in common."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from agent.signals import until_signalled

FOLDER = Path(".edgevoice/bench")
_COLUMNS = 120


def add_usual(parser: argparse.ArgumentParser, *, quick: str) -> None:
    """The options that every benchmark has; `quick` says what is left out of a rough one."""
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where figures and pictures go (default: %(default)s)"
    )


def introduced(doc: str | None) -> Console:
    """The console, on which a benchmark has said, by the docstring of its module, what it compares."""
    console = Console(width=_COLUMNS, highlight=False)
    console.print((doc or "").strip())
    return console


def table(title: str, texts: tuple[str, ...], figures: Sequence[str], *, wrapped: bool = False) -> Table:
    """An empty table: first the columns of text, then those of figures, whose names may be `wrapped`."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in texts:
        shown.add_column(name, no_wrap=True)
    for name in figures:
        shown.add_column(name, justify="right", no_wrap=not wrapped)
    return shown


def main(
    name: str,
    doc: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], Coroutine[Any, Any, int]],
) -> int:
    """`python -m benchmarks.NAME`; the exit status."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return asyncio.run(until_signalled(run(parser.parse_args())))
