"""What is told to Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from agent.contract.terms import Presence
from bridge.agent import Agent
from bridge.metrics.tally import BUCKETS_S, Tally, Worker
from bridge.waiting import Waiting

_TELL_S = 1.0


class Metrics(Collector):
    """The bridge's metrics, as all its workers have them."""

    def __init__(self, tally: Tally, agent: Agent, waiting: Waiting) -> None:
        self._tally = tally
        self._agent = agent
        self._waiting = waiting
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def keep_telling(self) -> None:
        """Does not return: says to the other workers how this one fares."""
        while True:
            self._tell()
            await asyncio.sleep(_TELL_S)

    def encode(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Their names and meanings."""
        yield from self.collect()

    def collect(self) -> Iterator[Metric]:
        """All of them, with their values."""
        self._tell()
        workers = self._tally.workers()
        online = self._agent.presence is Presence.ONLINE
        connected = sum(worker.connected for worker in workers)
        yield from self._served()
        yield _gauge("waiting", "Callers that wait for the agent.", sum(worker.waiting for worker in workers))
        yield _gauge("workers", "Processes that answer.", len(workers))
        yield _gauge("connected_workers", "Of those, the ones that reach the broker.", connected)
        yield _gauge("agent_online", "Whether the agent says that it is there.", online)

    def _served(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "edgevoice_bridge_requests",
            "Requests that had their answer; 499: the caller hung up.",
            labels=["route", "status"],
        )
        seconds = HistogramMetricFamily(
            "edgevoice_bridge_request_seconds", "From a request's headers to the end of its answer.", labels=["route"]
        )
        for route, by_status, buckets, total_s in self._tally.served():
            for status, number in by_status.items():
                requests.add_metric([route, str(status)], number)
            bounds = ("+Inf" if bound == float("inf") else str(bound) for bound in BUCKETS_S)
            seconds.add_metric([route], list(zip(bounds, buckets, strict=True)), total_s)
        yield from (requests, seconds)

    def _tell(self) -> None:
        self._tally.tell(Worker(self._waiting.callers, self._agent.connected))


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"edgevoice_bridge_{name}", meaning, value)
