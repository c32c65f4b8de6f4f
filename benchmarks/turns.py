"""How a comparison goes: every peer has its turn in every case, round after round."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.asking import Block, Load
from benchmarks.questions import Question
from benchmarks.report import Case
from benchmarks.rounds import in_turn

_WARM_UP_S = 0.1
_WARM_UP_IN_FLIGHT = 4

P = TypeVar("P", bound=Hashable)


@dataclass(frozen=True)
class Plan:
    """How much is asked."""

    rounds: int
    """How often every peer has its turn."""
    seconds: float
    """Length of a turn in each case [s]."""
    in_flight: tuple[int, ...]
    """Questions open at once, a case each."""


async def take_turns(
    plan: Plan, loads: Mapping[P, Load], cases: Mapping[Case, Question]
) -> dict[tuple[Case, P], list[Block]]:
    """What came of it; the peers alternate, so that a busy neighbour on this machine hits them all."""
    await _warm_up(loads.values(), cases.values())
    blocks: dict[tuple[Case, P], list[Block]] = {(case, peer): [] for case in cases for peer in loads}
    for number in range(plan.rounds):
        for case, peer in in_turn(blocks, number):
            block = await loads[peer].ask(cases[case], in_flight=case.in_flight, seconds=plan.seconds)
            blocks[case, peer].append(block)
    return blocks


async def _warm_up(loads: Iterable[Load], questions: Iterable[Question]) -> None:
    """The first requests pay for imports and caches."""
    several = tuple(loads)
    for question in questions:
        for load in several:
            await load.ask(question, in_flight=_WARM_UP_IN_FLIGHT, seconds=_WARM_UP_S)
