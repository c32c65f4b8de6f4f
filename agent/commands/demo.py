"""Ask four questions, typed and spoken, over MQTT and HTTP, and show how they are answered."""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.demo.cases import CASES, Case, check
from agent.demo.table import one_line, table
from agent.demo.ways import WAYS, ask, speak
from agent.models.missing import fetch_missing
from agent.settings import Settings
from agent.settings_reading import load
from agent.signals import until_signalled
from agent.stack import Stack, StackSettings
from agent.stack.ports import HOST

SMALL_MODEL = (
    "The language model is a very small one, for trying things out: it is quick, and often wrong. "
    "README.md says how to use a better one."
)
_COLUMNS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the speech goes."""
    default = Path(".edgevoice") / "demo"
    parser.add_argument("--out", type=Path, default=default, metavar="FOLDER", help=f"for WAVs (default: {default})")


def run(args: argparse.Namespace) -> int:
    """0 where every answer is a real one."""
    settings = load()
    fetch_missing(settings, print)  # before the loop, which would not let Ctrl-C stop a download
    return asyncio.run(until_signalled(_demo(settings, args.out, Console())))


async def _demo(settings: Settings, folder: Path, console: Console) -> int:
    console.print("Starting broker, agent and bridge …")
    async with Stack(StackSettings(agent=settings.agent, home=settings.home)) as stack:
        console.print(
            f"Ready: MQTT on {HOST}:{stack.broker.port}, HTTP on {stack.url}. Logs in {stack.folder}/.\n",
            soft_wrap=True,
        )
        tables = [await _answered(case, stack, folder, console) for case in CASES]
    console.print("\n[bold]How it went[/] (milliseconds a stage)\n")
    for answers in tables:
        Console(width=max(console.width, _COLUMNS)).print(answers)
    console.print(SMALL_MODEL, soft_wrap=True)
    return 0


async def _answered(case: Case, stack: Stack, folder: Path, console: Console) -> Table:
    """Asks `case` every way, shows each answer as it comes, keeps what was said; BrokenAnswer at the first that is."""
    console.print(f"[bold]{case.name}[/]: {case.question}")
    folder /= _file_name(case.name)
    clip = await speak(stack, case.question) if case.spoken else None
    question = _kept(folder / "question.wav", clip) if clip else None
    answers, files = {}, {}
    for way in WAYS:
        console.print(f"  {way:10} ", end="")
        answers[way] = answer = await ask(way, stack, case, clip)
        check(case, answer)
        console.print(escape(one_line(answer)), soft_wrap=True)
        if answer.speech:
            files[way] = _kept(folder / f"{_file_name(way)}.wav", answer.speech)
    return table(case, answers, files, question)


def _kept(file: Path, wav: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(wav)
    return file


def _file_name(name: str) -> str:
    return re.sub("[^a-z0-9.]+", "-", name.lower())
