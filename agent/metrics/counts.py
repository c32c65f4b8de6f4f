"""What is counted: of every run, once, when it has its reply; and of every message that was not taken on."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

from agent.contract.errors import ErrorCode
from agent.contract.reply import Reply, Timings, Usage
from agent.contract.terms import Operation

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STAGES = ("queue", "stt", "llm", "tts")
"""Fields of Timings that follow each other, or overlap."""


class Counts:
    """Counters and histograms. No label holds an id, a client or a text: there are only so many series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, buckets=_BUCKETS_S, registry=registry)
        self._requests = counter(
            "edgevoice_agent_requests",
            "Requests that were taken on and have their reply; code is that of the error, empty where there is none.",
            ["operation", "status", "code"],
        )
        self._refusals = counter(
            "edgevoice_agent_refusals",
            "Messages that were answered with an error instead of being taken on.",
            ["code"],
        )
        self._tokens = counter(
            "edgevoice_agent_tokens", "Tokens that the language models read (prompt) and wrote (completion).", ["kind"]
        )
        self._seconds = histogram(
            "edgevoice_agent_request_seconds", "From the arrival of a request to its reply.", ["operation"]
        )
        self._stages = histogram(
            "edgevoice_agent_stage_seconds", "Time in each stage; queue is the wait before the first.", ["stage"]
        )
        self._first_token = histogram(
            "edgevoice_agent_first_token_seconds", "From the start of the language model to its first words."
        )
        self._first_audio = histogram(
            "edgevoice_agent_first_audio_seconds", "From the arrival of a request to the first sound of its answer."
        )

    def ended(self, operation: Operation, reply: Reply) -> None:
        """A run has its terminal reply."""
        code = reply.error.code.value if reply.error else ""
        self._requests.labels(operation.value, reply.status.value, code).inc()
        if reply.usage:
            self._used(reply.usage)
        if reply.timings_ms:
            self._took(operation, reply.timings_ms)

    def refused(self, code: ErrorCode) -> None:
        """A message was answered with an error at once."""
        self._refusals.labels(code.value).inc()

    def _used(self, usage: Usage) -> None:
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)

    def _took(self, operation: Operation, timings: Timings) -> None:
        observed = [(self._stages.labels(stage), getattr(timings, stage)) for stage in _STAGES]
        observed.append((self._seconds.labels(operation.value), timings.total))
        observed.append((self._first_token, timings.llm_first_token))
        observed.append((self._first_audio, timings.tts_first_audio))
        for histogram, took_ms in observed:
            if took_ms is not None:
                histogram.observe(took_ms / 1_000)
