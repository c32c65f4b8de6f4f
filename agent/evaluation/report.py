"""What came of an evaluation: side by side for people, in JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from statistics import mean
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agent.evaluation.answer import Answer
from agent.evaluation.evaluate import Outcome
from agent.evaluation.summary import Summary

_SAID_CHARS = 100
_LABEL_CHARS = 60
_TOLD = frozenset(
    {"status", "text", "speech_text", "transcript", "finish_reason", "usage", "timings_ms", "engines", "error"}
)


def questions_table(outcomes: Iterable[Outcome], configurations: Sequence[str]) -> Table:
    """A row for each question that was asked, a column for each configuration."""
    table = _table("question", configurations)
    for label, row in _rows(outcomes, configurations):
        mark = "≠ " if _differs(row) else ""
        table.add_row(Text(f"{mark}{_short(label, _LABEL_CHARS)}"), *(_cell(row[name]) for name in configurations))
    return table


def summary_table(summaries: Mapping[str, Summary]) -> Table:
    """A row for each figure, a column for each configuration."""
    table = _table("", list(summaries))
    figures: Mapping[str, Callable[[Summary], str]] = {
        "passed": lambda one: f"{one.passed} of {one.asked} ({one.rate:.0%})",
        "latency, median": lambda one: _ms(one.median_ms),
        "latency, 95 %": lambda one: _ms(one.p95_ms),
        "first token": lambda one: _ms(one.first_token_ms),
        "tokens read": lambda one: f"{one.prompt_tokens:,}",
        "tokens written": lambda one: f"{one.completion_tokens:,}",
        "tokens/s": lambda one: "-" if one.tokens_per_s is None else f"{one.tokens_per_s:.1f}",
    }
    for name, figure in figures.items():
        table.add_row(name, *(figure(summary) for summary in summaries.values()))
    return table


def differences(outcomes: Iterable[Outcome], configurations: Sequence[str]) -> str | None:
    """How the configurations differ, as a sentence; None where there is but one."""
    if len(configurations) == 1:
        return None
    rows = [row for _, row in _rows(outcomes, configurations)]
    if number := sum(map(_differs, rows)):
        return f"≠ {number} of {len(rows)} questions pass in one configuration more often than in another."
    return "The same questions pass in all configurations."


def as_json(outcomes: Sequence[Outcome], summaries: Mapping[str, Summary]) -> str:
    """All of it."""
    told = {
        "configurations": {name: {"rate": one.rate, **asdict(one)} for name, one in summaries.items()},
        "outcomes": [_outcome(outcome) for outcome in sorted(outcomes, key=_place)],
    }
    return f"{json.dumps(told, indent=2, ensure_ascii=False)}\n"


_Row = Mapping[str, Sequence[Outcome]]
"""What came of one question, by the configuration."""


def _rows(outcomes: Iterable[Outcome], configurations: Sequence[str]) -> Iterable[tuple[str, _Row]]:
    for _, group in groupby(sorted(outcomes, key=_place), key=lambda outcome: outcome.trial.number):
        tried = list(group)
        row = {name: [one for one in tried if one.trial.configuration == name] for name in configurations}
        yield tried[0].trial.question.label, row


def _place(outcome: Outcome) -> tuple[int, str, int]:
    return outcome.trial.number, outcome.trial.configuration, outcome.trial.round


def _differs(row: _Row) -> bool:
    """Whether it passed more often in one configuration than in another, of those in which it was asked."""
    return len({_share(tried) for tried in row.values() if tried}) > 1


def _share(tried: Sequence[Outcome]) -> float:
    return mean(outcome.failure is None for outcome in tried)


def _cell(tried: Sequence[Outcome]) -> Text:
    if not tried:
        return Text("not asked", "dim")
    failed = next((outcome for outcome in tried if outcome.failure), None)
    word = "FAIL" if failed else "pass"
    if len(tried) > 1:
        word = f"{word} {sum(outcome.failure is None for outcome in tried)}/{len(tried)}"
    took = mean(sum(answer.elapsed_ms for answer in outcome.answers) for outcome in tried)
    cell = Text.assemble((word, "bold red" if failed else "green"), (f" {_ms(took)}", "dim"))
    return cell.append(f"\n{_why(failed)}") if failed else cell


def _why(outcome: Outcome) -> str:
    failure, answer = outcome.failure, outcome.answers[-1]
    if failure is None:
        return ""
    turns = outcome.trial.question.turns
    turn = f"turn {len(outcome.answers)} of {len(turns)}, " if len(turns) > 1 else ""
    said = f"; it says “{_short(answer.text, _SAID_CHARS)}”" if answer.text else ""
    return f"{turn}{failure.expected}: {_short(failure.why, _SAID_CHARS)}{said}"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "question": outcome.trial.question.label,
        "number": outcome.trial.number,
        "configuration": outcome.trial.configuration,
        "round": outcome.trial.round,
        "passed": outcome.failure is None,
        "failure": asdict(outcome.failure) if outcome.failure else None,
        "answers": [_answer(answer) for answer in outcome.answers],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    told = answer.reply.model_dump(mode="json", include=set(_TOLD), exclude_none=True)
    heard_back = {} if answer.heard_back is None else {"heard_back": answer.heard_back}
    return {"elapsed_ms": round(answer.elapsed_ms, 1), **told, **heard_back}


def _table(first: str, configurations: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first)
    for name in configurations:
        table.add_column(Text(name))
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _short(text: str, chars: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= chars else f"{line[: chars - 1]}…"
