"""An answer on its way from the engine to the program, which may want to see it grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from agent.engines.base import Delta
from agent.mlc_chat.rates import Rates, Stopwatch
from agent.pipeline.guards import Guard, GuardSettings

_GUARDS = GuardSettings(role_markers=False, loops=False)


class Callback(Protocol):
    """Who sees an answer grow: those of agent.mlc_chat.callback, or anything that is called like them.

    It is called every `callback_interval` tokens; at every token, where it has no such attribute.
    """

    def __call__(self, message: str = "", stopped: bool = False) -> object:
        """Takes the answer so far; or, with `stopped`, that there is no more."""


@dataclass(frozen=True)
class Answer:
    """What came of a question."""

    text: str
    rates: Rates


def receive(deltas: Iterable[Delta], stop: Iterable[str], callback: Callback | None) -> Answer:
    """The answer, up to the first string of `stop`; `callback` sees it grow, and in any case end."""
    guard, watch = Guard(_GUARDS, stop), Stopwatch()
    tell = callback or _nobody
    interval = max(1, getattr(callback, "callback_interval", 1))
    told = ""
    try:
        for delta in deltas:
            watch.take(delta)
            guard.feed(delta.text)
            due = delta.text and (watch.pieces - 1) % interval == 0
            if due and guard.text != told:
                tell(told := guard.text)
            if guard.ending:
                break
        guard.end()
        if guard.text != told:
            tell(guard.text)
    finally:
        tell(stopped=True)
    return Answer(guard.text, watch.rates)


@contextmanager
def preparing(callback: Callback | None) -> Iterator[None]:
    """What comes before an answer: where it fails, `callback` hears that there will be none."""
    try:
        yield
    except BaseException:
        (callback or _nobody)(stopped=True)
        raise


def _nobody(message: str = "", stopped: bool = False) -> None:
    """Sees nothing."""
