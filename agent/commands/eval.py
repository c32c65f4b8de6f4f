"""Ask an agent a suite of questions, hold the answers against what is expected, and compare configurations."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.commands import checked
from agent.commands._broker import add_broker_arguments, client_of, read_broker
from agent.contract.errors import ContractError
from agent.contract.topics import Topics
from agent.errors import UserError
from agent.evaluation.evaluate import Outcome, evaluate, trials
from agent.evaluation.reading import read_suite
from agent.evaluation.report import as_json, differences, questions_table, summary_table
from agent.evaluation.suite import Suite
from agent.evaluation.summary import Summary
from agent.mqtt.settings import MqttSettings
from agent.signals import until_signalled

_ONLINE_S = 10.0
_COLUMNS = 120
"""Where the report goes to no terminal."""
_DEFAULTS = "defaults"
"""What the only configuration of a suite that names none is called."""
_Times = Annotated[int, Field(ge=1, le=1_000)]
_AtOnce = Annotated[int, Field(ge=1, le=64)]
_Share = Annotated[float, Field(ge=0, le=1)]

_ABOUT = """\
agent/evaluation/README.md has all that a suite may say. Each question is asked in a conversation of its own, which is
deleted then.

exit status:
  0  so many of the questions passed, in each configuration
  1  fewer did
  2  the suite cannot be asked, or the agent cannot be reached
"""


class CannotEvaluate(UserError):
    """An evaluation that cannot begin."""

    exit_status = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The suite, how often and in which configurations it is asked, what is wanted of it, and the broker."""
    parser.epilog = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("suite", type=Path, metavar="SUITE", help="file of questions: YAML or JSON")
    parser.add_argument(
        "--config", action="append", metavar="NAME", help="one of its configurations; may be repeated (default: all)"
    )
    parser.add_argument("--repeat", type=checked(_Times), default=1, metavar="N", help="ask everything so many times")
    parser.add_argument(
        "--concurrency", type=checked(_AtOnce), default=1, metavar="N", help="ask so many questions at once"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all answers and figures there, too")
    parser.add_argument(
        "--fail-under",
        type=checked(_Share),
        default=1.0,
        metavar="SHARE",
        help="the share of questions that must pass, 0 to 1 (default: all)",
    )
    add_broker_arguments(parser, user="broker user; it is a level of the requests' topics")


def run(args: argparse.Namespace) -> int:
    """0 where enough of the questions passed; a signal ends it with a report of what there is by then."""
    mqtt, topics = read_broker(args)
    suite = read_suite(args.suite)
    configurations = _configurations(suite, args.config)
    if args.json:
        _check_writable(args.json)
    outcomes: list[Outcome] = []
    status = asyncio.run(until_signalled(_evaluated(args, suite, configurations, outcomes, mqtt=mqtt, topics=topics)))
    summaries = {
        name: Summary.of([outcome for outcome in outcomes if outcome.trial.configuration == name])
        for name in configurations
    }
    if outcomes:
        _show(outcomes, summaries)
    if args.json:
        args.json.write_text(as_json(outcomes, summaries), encoding="utf-8")
    return status or int(any(summary.rate < args.fail_under for summary in summaries.values()))


async def _evaluated(
    args: argparse.Namespace,
    suite: Suite,
    configurations: Sequence[str],
    outcomes: list[Outcome],
    *,
    mqtt: MqttSettings,
    topics: Topics,
) -> int:
    """Adds to `outcomes` what comes of each trial."""
    planned = list(trials(suite, configurations, rounds=args.repeat))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with client_of(mqtt, topics) as client:
        try:
            await client.online(_ONLINE_S)
        except ContractError as exc:
            raise CannotEvaluate(f"{exc.code.value}: {exc.message}") from exc
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task("", total=len(planned))

            def tell(outcome: Outcome) -> None:
                outcomes.append(outcome)
                failed = sum(one.failure is not None for one in outcomes)
                bars.update(task, advance=1, description=f"{len(outcomes) - failed} passed, {failed} failed")

            await evaluate(client, suite, planned, concurrency=args.concurrency, tell=tell)
    return 0


def _configurations(suite: Suite, wanted: Sequence[str] | None) -> list[str]:
    known = list(suite.configurations) or [_DEFAULTS]
    if unknown := [name for name in wanted or () if name not in known]:
        raise CannotEvaluate(f"no configuration {unknown[0]!r} in the suite; there are {', '.join(known)}")
    return list(dict.fromkeys(wanted or known))


def _check_writable(file: Path) -> None:
    """CannotEvaluate where the report could not be kept, before anything is asked."""
    try:
        file.open("a", encoding="utf-8").close()
    except OSError as exc:
        raise CannotEvaluate(f"{file} cannot be written; name another file with --json") from exc


def _show(outcomes: Sequence[Outcome], summaries: dict[str, Summary]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, _COLUMNS))
    configurations = list(summaries)
    console.print(questions_table(outcomes, configurations))
    if told := differences(outcomes, configurations):
        console.print(f" {told}\n")
    console.print(summary_table(summaries))
