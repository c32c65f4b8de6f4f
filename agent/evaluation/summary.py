"""What a configuration comes to: how much of it is as expected, how long it takes, how many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from agent.contract.reply import Reply, Timings
from agent.contract.terms import Status
from agent.evaluation.evaluate import Outcome

_P95 = 0.95


@dataclass(frozen=True)
class Summary:
    """Of all outcomes in one configuration; times and tokens are those of the answers that came."""

    asked: int
    """Questions, each as often as it was asked."""
    passed: int
    """Those with all answers as expected."""
    median_ms: float | None
    """Of the time from question to reply, as the caller has it [ms]."""
    p95_ms: float | None
    """In 95 of 100 cases it took no longer [ms]."""
    first_token_ms: float | None
    """Median of the time from the start of the language model to its first words [ms]."""
    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""
    tokens_per_s: float | None
    """Tokens written in a second of the language model's time, that for reading included."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Summary:
        """What they come to."""
        answers = [answer for outcome in outcomes for answer in outcome.answers if answer.reply.status is Status.OK]
        replies = [answer.reply for answer in answers]
        took = sorted(answer.elapsed_ms for answer in answers)
        first = [ms for reply in replies if (ms := _timings(reply).llm_first_token) is not None]
        written = sum(reply.usage.completion_tokens for reply in replies if reply.usage)
        writing_s = sum(_timings(reply).llm or 0.0 for reply in replies if reply.usage) / 1_000
        return cls(
            asked=len(outcomes),
            passed=sum(outcome.failure is None for outcome in outcomes),
            median_ms=median(took) if took else None,
            p95_ms=took[ceil(_P95 * len(took)) - 1] if took else None,
            first_token_ms=median(first) if first else None,
            prompt_tokens=sum(reply.usage.prompt_tokens for reply in replies if reply.usage),
            completion_tokens=written,
            tokens_per_s=written / writing_s if writing_s else None,
        )

    @property
    def rate(self) -> float:
        """Share of the questions that passed, 0 to 1."""
        return self.passed / self.asked if self.asked else 0.0


def _timings(reply: Reply) -> Timings:
    return reply.timings_ms or Timings()
