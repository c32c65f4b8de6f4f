"""How the answers to one case are shown: a row for each way, its times, and where its speech lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agent.contract.reply import Timings
from agent.demo.cases import Answer, Case

_STAGES = ("STT", "1st word", "LLM", "TTS", "total ms")


def table(case: Case, answers: Mapping[str, Answer], files: Mapping[str, Path], question: Path | None) -> Table:
    """The answers by their ways; `files` and `question` are the WAVs that were kept."""
    shown = Table(
        title=_title(case, answers, question), title_justify="left", title_style="", box=box.SIMPLE_HEAD, expand=True
    )
    shown.add_column("over", no_wrap=True)
    shown.add_column("answered", ratio=1)
    for name in _STAGES:
        shown.add_column(name, justify="right", no_wrap=True)
    for way, answer in answers.items():
        shown.add_row(way, _answered(answer, files.get(way)), *_milliseconds(answer.timings))
    return shown


def one_line(answer: Answer) -> str:
    """The answer's words, however it is broken into lines."""
    return " ".join(answer.text.split())


def _title(case: Case, answers: Mapping[str, Answer], question: Path | None) -> Text:
    title = Text.assemble((case.name, "bold"), f": “{case.question}”")
    heard = next((answer.transcript for answer in answers.values() if answer.transcript), None)
    if heard:
        title.append(f", heard as “{heard}”")
    if question:
        title.append(f"\n{question}", "dim")
    return title


def _answered(answer: Answer, file: Path | None) -> Group:
    words = Text(one_line(answer), no_wrap=True, overflow="ellipsis")
    return Group(words, Text(str(file), "dim", overflow="fold")) if file else Group(words)


def _milliseconds(times: Timings) -> list[str]:
    stages = (times.stt, times.llm_first_token, times.llm, times.tts, times.total)
    return ["" if value is None else f"{value:.0f}" for value in stages]
