"""One question to a language model: its answer is watched as it is written, and begun anew where its engine died."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from agent.contract.messages import Sampling
from agent.contract.terms import FinishReason, Stage
from agent.engines.base import AsyncLanguageModel, Delta
from agent.errors import EngineError
from agent.pipeline.guards import Ending, Guard, GuardSettings
from agent.pipeline.history import Prompt
from agent.pipeline.voice import twice

_ENDS = {Ending.LOOP: FinishReason.LOOP, Ending.TIME: FinishReason.DEADLINE}


@dataclass(frozen=True)
class Answer:
    """What came of the LLM."""

    text: str
    end: Delta
    """The last piece, with what the engine counted."""
    first_token_s: float
    """From the question to the first piece [s]."""
    seconds: float
    """From the question to the last piece [s]."""
    window: int | None
    """Of the model [tokens]; None where the engine does not say."""
    engine: str
    dropped: int = 0
    """Messages of the conversation that were left out."""


class Writer(Protocol):
    """Who gets an answer piece by piece."""

    @property
    def is_followed(self) -> bool:
        """Whether somebody reads or hears the answer as it is written: then it is not begun again."""

    async def began(self) -> None:
        """The answer begins; also where it begins again, after a crash."""

    def wrote(self, piece: str) -> None:
        """The next piece."""


class Answering:
    """Has one question answered; its time counts from here."""

    def __init__(
        self, engine: AsyncLanguageModel, sampling: Sampling, *, guards: GuardSettings, writer: Writer
    ) -> None:
        self._engine = engine
        self._sampling = sampling
        self._guards = guards
        self._writer = writer
        self._start = time.monotonic()
        self._first_s: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a word of the answer was written."""
        return self._first_s is not None

    async def answer(self, prompt: Prompt | str) -> Answer:
        """The answer to a conversation, or how a text goes on. Raises EngineError."""
        return await twice(lambda: self._once(prompt), unless=lambda: self._writer.is_followed and self.has_begun)

    async def _once(self, prompt: Prompt | str) -> Answer:
        guard = Guard(self._guards, self._sampling.stop)
        end = Delta()
        tokens = 0
        await self._writer.began()
        async with aclosing(self._deltas(prompt)) as deltas:
            async for delta in deltas:
                if delta.text:
                    self._first_s = self._first_s or self._elapsed_s
                    tokens += 1
                if piece := guard.feed(_encodable(delta.text)):
                    self._writer.wrote(piece)
                end = delta
                if guard.ending:
                    break
        if piece := guard.end(at_limit=end.finish_reason is FinishReason.LENGTH):
            self._writer.wrote(piece)
        if guard.ending:
            end = await self._ended_early(prompt, end, guard.ending, tokens)
        return self._answer(guard.text.strip(), end, dropped=0 if isinstance(prompt, str) else prompt.dropped)

    def _answer(self, text: str, end: Delta, *, dropped: int) -> Answer:
        was_stopped = self._sampling.stop and end.finish_reason is FinishReason.STOP
        if not text and not was_stopped:  # else that is all there is before a stop string
            raise EngineError(Stage.LLM, "the model gave an empty answer", reason="empty_answer")
        took, info = self._elapsed_s, self._engine.info
        return Answer(text, end, self._first_s or took, took, info.context_window, info.label, dropped)

    async def _ended_early(self, prompt: Prompt | str, end: Delta, ending: Ending, tokens: int) -> Delta:
        """The last piece of an answer that was not waited for to its end: the engine's own counts may not have come."""
        read = None if isinstance(prompt, str) or end.prompt_tokens else await self._engine.count(prompt.messages)
        return replace(
            end,
            finish_reason=_ENDS.get(ending, FinishReason.STOP),
            prompt_tokens=end.prompt_tokens or read or 0,
            completion_tokens=end.completion_tokens or tokens,
        )

    def _deltas(self, prompt: Prompt | str) -> AsyncGenerator[Delta, None]:
        if isinstance(prompt, str):
            return self._engine.complete(prompt, self._sampling)
        return self._engine.chat(prompt.messages, self._sampling)

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._start


def _encodable(text: str) -> str:
    """`text` without the half characters that a model may stop in."""
    return text.encode("utf-8", "replace").decode()
