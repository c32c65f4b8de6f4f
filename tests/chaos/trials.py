"""The long trials, each with what it did, what came of it, and which promise it found broken."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.contract.presence import State
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Subscription
from agent.stack import DEMO_USER, Part
from tests.faults.ledger import Verdict
from tests.faults.process import MIB, Footprint
from tests.faults.trial import MIX, Trial, trial

PER_S = 25.0
"""Requests a second under kills."""
_TELL_S = 5.0
_PAUSE_S = 2.0
"""How long a part lives before it is killed again, about [s]."""
_SECONDS_A_KILL = 3.5
"""The same with its start."""
_BURST = 500
_BURST_GROWTH_BYTES = 64 * MIB
_SLOPE_MIN_S = 1_500.0
"""A slope over less than this says nothing [s]."""
_SLOPE_BYTES_PER_H = MIB
_PROBE_P99_MS = 50.0
_IDLE_CONNECTIONS = 4
"""Files that come and go with the callers of the bridge."""
# More than any trial asks: what is forgotten cannot be judged.
_REMEMBERING = {"EDGEVOICE_JOURNAL__MAX_REPLIES": "1000000", "EDGEVOICE_JOURNAL__DEDUP_WINDOW_S": "86400"}

Tell = Callable[[str], None]
"""Shows a line of progress."""


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    catalogue_id: str
    """The same in tests/faults: R for requests that survive, L for load."""
    done: str
    """What was done."""
    counts: str
    """What came of it."""
    broken: list[str] = field(default_factory=list)
    """Promises that were not kept."""


async def killed(
    folder: Path, tell: Tell, *, catalogue_id: str, requests: int, parts: tuple[Part, ...], seed: int, **changes: Any
) -> Outcome:
    """`requests` from eight clients while `parts` are killed at random."""
    times = _kills_over(requests)
    async with _trial(folder, tell, **changes) as t:
        async with t.killing(*parts, times=times, pause_s=_PAUSE_S, seed=seed):
            await t.load(requests, per_s=PER_S)
        verdict = await _verdict(t, tell)
    names = ", ".join(part.value for part in parts)
    done = f"{requests:,} requests at {PER_S:g}/s from {len(MIX)} clients; {names} killed at random"
    return Outcome(catalogue_id, done, _counts(verdict), _broken(verdict))


async def restarted(folder: Path, tell: Tell, *, requests: int, seed: int) -> Outcome:
    """The broker is stopped in order, and nobody asks twice."""
    times = _kills_over(requests)
    async with _trial(folder, tell, mix=("mqtt5", "mqtt311") * 4, retry_s=None) as t:
        async with t.killing(Part.BROKER, times=times, pause_s=_PAUSE_S, seed=seed, in_order=True):
            await t.load(requests, per_s=PER_S)
        verdict = await _verdict(t, tell)
    done = f"{requests:,} requests at {PER_S:g}/s, none sent twice; broker restarted in order"
    return Outcome("R4", done, _counts(verdict), _broken(verdict))


async def burst(folder: Path, tell: Tell) -> Outcome:
    """More at once than the agent takes on; who is refused comes again when he was told to."""
    async with _trial(folder, tell) as t:
        await t.load(len(MIX) * 2, per_s=PER_S)
        before = Footprint.of(t.stack.pid(Part.AGENT))
        await t.load(_BURST, per_s=_BURST)
        growth = Footprint.of(t.stack.pid(Part.AGENT)).peak_bytes - before.rss_bytes
        refusals_ms = sorted(1_000 * taken for taken in t.ledger.refusals_s)
        verdict = await _verdict(t, tell)
    counts = f"{_counts(verdict)}; agent +{growth / MIB:.1f} MiB"
    if refusals_ms:
        counts += (
            f"; refused after {_quantile(refusals_ms, 0.5):.0f} ms (p50), {_quantile(refusals_ms, 0.95):.0f} ms (p95)"
        )
    broken = _broken(verdict)
    if growth > _BURST_GROWTH_BYTES:
        broken.append(f"memory grew by more than {_BURST_GROWTH_BYTES / MIB:g} MiB")
    return Outcome("L1", f"{_BURST} requests in one second from {len(MIX)} clients", counts, broken)


async def soak(folder: Path, tell: Tell, *, seconds: float) -> Outcome:
    """One request a second, and nothing else happens."""
    async with _trial(folder, tell) as t, _states(t) as states:
        await t.load(len(MIX) * 4, per_s=PER_S)
        samples = Samples()
        watching = asyncio.create_task(samples.take(t), name="samples")
        await t.load(max(1, round(seconds)), per_s=1)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        probes_ms = sorted(state.probe_ms for state in states if state.probe_ms is not None)
        verdict = await _verdict(t, tell)
    broken = [*_broken(verdict), *samples.broken(seconds)]
    if probes_ms and _quantile(probes_ms, 0.99) > _PROBE_P99_MS:
        broken.append(f"probe p99 over {_PROBE_P99_MS:g} ms")
    probe = f"; probe p99 {_quantile(probes_ms, 0.99):.1f} ms" if probes_ms else ""
    return Outcome("L4", f"1 request/s for {seconds / 60:.0f} min", f"{_counts(verdict)}; {samples}{probe}", broken)


class Samples:
    """How agent and bridge fared over time."""

    def __init__(self) -> None:
        self._taken: dict[Part, list[tuple[float, Footprint]]] = {Part.AGENT: [], Part.BRIDGE: []}

    async def take(self, t: Trial) -> None:
        """For ever, every few seconds."""
        loop = asyncio.get_running_loop()
        while True:
            for part, taken in self._taken.items():
                taken.append((loop.time(), Footprint.of(t.stack.pid(part))))
            await asyncio.sleep(_TELL_S)

    def broken(self, seconds: float) -> list[str]:
        """What should have been constant, and was not."""
        broken = []
        for part, taken in self._taken.items():
            half = len(taken) // 2
            before, after = ([footprint for _, footprint in part_of] for part_of in (taken[:half], taken[half:]))
            if _most(after, "files") > _most(before, "files") + _IDLE_CONNECTIONS:
                broken.append(f"{part.value}: more and more files")
            if _most(after, "threads") > _most(before, "threads"):
                broken.append(f"{part.value}: more and more threads")
            if seconds >= _SLOPE_MIN_S and _slope(taken) > _SLOPE_BYTES_PER_H:
                broken.append(f"{part.value}: memory grows")
        return broken

    def __str__(self) -> str:
        return "; ".join(
            f"{part.value} {taken[-1][1].rss_bytes / MIB:.0f} MiB, {_slope(taken) / MIB:+.1f} MiB/h,"
            f" {taken[-1][1].files} files, {taken[-1][1].threads} threads"
            for part, taken in self._taken.items()
            if taken
        )


def _most(footprints: list[Footprint], name: str) -> int:
    return max((getattr(footprint, name) for footprint in footprints), default=0)


def _slope(taken: list[tuple[float, Footprint]]) -> float:
    """Of memory over the second half, when all is warm [bytes/h]."""
    second_half = taken[len(taken) // 2 :]
    if len(second_half) < 2:
        return 0.0
    times, sizes = zip(*((at, footprint.rss_bytes) for at, footprint in second_half), strict=True)
    return 3_600 * statistics.linear_regression(times, sizes).slope


@asynccontextmanager
async def _trial(folder: Path, tell: Tell, **changes: Any) -> AsyncIterator[Trial]:
    async with trial(folder, environment=_REMEMBERING, **changes) as t:
        telling = asyncio.create_task(_tell(t, tell), name="progress")
        try:
            yield t
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def _tell(t: Trial, tell: Tell) -> None:
    began = asyncio.get_running_loop().time()
    while True:
        await asyncio.sleep(_TELL_S)
        ledger = t.ledger
        kills = ", ".join(f"{part.value} {sum(each is part for _, each in ledger.kills)}" for part in Part)
        taken_s = asyncio.get_running_loop().time() - began
        tell(f"{taken_s:5.0f} s: {len(ledger.sends):,} sent, {len(ledger.replies):,} answered; kills: {kills}")


@asynccontextmanager
async def _states(t: Trial) -> AsyncIterator[list[State]]:
    """Every state the agent tells of meanwhile."""
    states: list[State] = []

    def heard(message: Message) -> None:
        states.append(State.decode(message.payload))

    mqtt = t.stack.mqtt(DEMO_USER)
    async with MqttClient(
        mqtt, client_id="chaos-states", on_message=heard, subscriptions=[Subscription(t.stack.topics.state)]
    ):
        yield states


async def _verdict(t: Trial, tell: Tell) -> Verdict:
    """Tells what is known of the first request of each kind that was not dealt with as promised."""
    verdict = await t.verdict()
    for name, ids in verdict.violations.items():
        example = min(ids)
        tell(f"{name}: {example}, sent {t.ledger.sends[example]} times; heard: {t.ledger.replies.get(example)}")
    return verdict


def _kills_over(requests: int) -> int:
    return max(3, round(requests / PER_S / _SECONDS_A_KILL))


def _counts(verdict: Verdict) -> str:
    kills = ", ".join(f"{part.value} {verdict.kills[part]}" for part in Part if verdict.kills[part])
    return (
        f"{verdict.sent:,} asked, {len(verdict.lost)} lost, {len(verdict.contradicted)} with two outcomes;"
        f" {verdict.resent} sent again, {verdict.extra} replies twice, {verdict.repeated} done twice,"
        f" {verdict.refusals} refused{f'; kills: {kills}' if kills else ''}"
    )


def _broken(verdict: Verdict) -> list[str]:
    return [f"{len(ids)} {name}, {min(ids)} among them" for name, ids in verdict.violations.items()]


def _quantile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]
