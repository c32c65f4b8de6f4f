"""How the agent fares at the moment it is asked, as Prometheus writes it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from agent.contract.presence import EngineState, State
from agent.contract.terms import Phase, Stage

logger = logging.getLogger(__name__)

_PREFIX = "edgevoice_agent_"
_PATIENCE_S = 2.0
_FAULTS = ("journal", "probe", *(stage.value for stage in Stage))
_UP, _LOADING, _FAILED = "up", "loading", "failed"


class Vitals(NamedTuple):
    """What is looked up."""

    state: State
    connected: bool
    """Whether the broker is reached."""
    journal_waited_s: float
    """How long the oldest write to the journal has waited [s]."""


class Gauges(Collector):
    """Asks the event loop, from the thread that was asked: what it reads is not to change meanwhile."""

    def __init__(self, vitals: Callable[[], Vitals]) -> None:
        self._vitals = vitals
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on, `loop` is where the agent lives."""
        self._loop = loop

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All of them; none where the event loop does not answer: what was counted is told anyway."""
        if self._loop is None:
            return ()
        asked = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            return families(asked.result(_PATIENCE_S))
        except concurrent.futures.TimeoutError:
            asked.cancel()
            logger.warning("the metrics are told without gauges: the event loop took longer than %g s", _PATIENCE_S)
            return ()

    async def _look(self) -> Vitals:
        return self._vitals()


def families(vitals: Vitals) -> Iterator[Metric]:
    """What `vitals` are, each with its meaning."""
    state = vitals.state
    phases = _labelled("phase", "Where the agent is in its life: 1 for one of them.", "phase")
    for phase in Phase:
        phases.add_metric([phase.value], phase is state.phase)
    yield phases
    yield _gauge("accepting", "Whether a request would be admitted now.", state.accepting)
    yield _gauge("connected", "Whether the broker is reached.", vitals.connected)
    yield _gauge("running", "Requests being worked on.", state.running)
    yield _gauge("queued", "Requests that wait.", state.queued)
    yield _gauge("queue_limit", "Requests that may wait or run.", state.max_queued)
    yield _gauge("queued_bytes", "Size of those that wait or run.", state.queued_bytes)
    yield _gauge("journal_waited_seconds", "How long the oldest write to the journal waits.", vitals.journal_waited_s)
    if state.probe_ms is not None:
        probe_s = state.probe_ms / 1_000
        yield _gauge("probe_seconds", "Round trip of a message by way of the broker, the last time.", probe_s)
    faults = _labelled("fault", "What makes it degraded: 1 where it does.", "fault")
    for fault in _FAULTS:
        faults.add_metric([fault], fault in state.faults)
    yield faults
    yield from _engines(state)


def _engines(state: State) -> Iterator[Metric]:
    how = GaugeMetricFamily(
        f"{_PREFIX}engine_state", "How each stage's engine is: 1 for one of them.", labels=["stage", "state"]
    )
    for stage in Stage:
        found = _how(state.engines.get(stage), state.phase)
        for each in (_UP, _LOADING, _FAILED):
            how.add_metric([stage.value, each], found == each)
    busy = _labelled("engine_busy", "Calls that it is in the middle of.", "stage")
    memory = _labelled("engine_resident_memory_bytes", "Resident memory of its process.", "stage")
    restarts = CounterMetricFamily(
        f"{_PREFIX}engine_restarts", "Times it was started again since the agent came up.", labels=["stage"]
    )
    for stage, engine in state.engines.items():
        busy.add_metric([stage.value], engine.busy)
        restarts.add_metric([stage.value], engine.restarts)
        if engine.memory_bytes is not None:
            memory.add_metric([stage.value], engine.memory_bytes)
    yield from (how, busy, memory, restarts)


def _how(engine: EngineState | None, phase: Phase) -> str:
    """Up, loading (for the first time, or again), or failed: there is none."""
    if engine is None:
        return _LOADING if phase is Phase.STARTING else _FAILED
    return _UP if engine.ready else _LOADING


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, meaning, value)


def _labelled(name: str, meaning: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, meaning, labels=[label])
