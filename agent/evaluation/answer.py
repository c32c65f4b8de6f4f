"""One answer, as it is held against what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.contract.reply import Reply


@dataclass(frozen=True)
class Answer:
    """What came of one turn."""

    reply: Reply
    """Whatever its status."""
    elapsed_ms: float
    """From the question to the reply, as the caller has it [ms]."""
    heard_back: str | None = None
    """What the agent itself understands of the answer's speech, where that is asked for."""

    @property
    def text(self) -> str:
        """The answer; empty where there is none."""
        return self.reply.text or ""

    @property
    def spoken(self) -> str:
        """The answer in the words that its speech has."""
        return self.reply.speech_text or self.text

    @property
    def heard(self) -> str:
        """What was understood of the question; empty where it was typed."""
        return self.reply.transcript.text if self.reply.transcript else ""
