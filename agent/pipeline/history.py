"""What a run knows of the conversation it belongs to, and how that becomes what the language model is asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import ceil

from agent.contract.messages import Message, Request, Sampling
from agent.contract.sessions import SessionConfig
from agent.contract.terms import Overflow, Role
from agent.errors import EngineError, too_long
from agent.journal.entries import Numbered, SessionKey
from agent.pipeline.window import STEP, Parts, Window

logger = logging.getLogger(__name__)

ContextProvider = Callable[[Request], str]
"""What else the model is to know when it is asked, as a part of its instruction; empty for nothing."""

_SUMMARY_SHARE = 8
_SUMMARIZE = "Put the conversation in a few short sentences. Keep names, numbers and what was agreed. Write no more."
_SO_FAR = "What was said before, in short:"


@dataclass(frozen=True)
class History:
    """What was said before in a conversation, and how its requests are answered that do not say themselves."""

    config: SessionConfig = field(default_factory=SessionConfig)
    turns: Sequence[Numbered] = ()
    """Oldest first."""
    summary: str = ""
    """Of the turns up to the number `summarized`."""
    summarized: int = 0
    on_summary: Callable[[str, int], None] = lambda _summary, _number: None
    """Is told a new summary, and the number of the last turn in it."""

    def latest(self, most_bytes: int) -> History:
        """The same with the latest turns that have no more bytes together; it begins where it did for a while."""
        size, begin = 0, len(self.turns)
        while begin:
            size += sum(len(text.encode()) for text in self.turns[begin - 1].turn)
            if size > most_bytes:
                break
            begin -= 1
        if not begin:
            return self
        step = STEP // 2
        while 4 * step <= len(self.turns) - begin:
            step *= 2
        return replace(self, turns=self.turns[ceil(begin / step) * step :])

    @property
    def messages(self) -> list[Message]:
        """The turns, as a language model reads them."""
        roles = (Role.USER, Role.ASSISTANT)
        return [
            Message.model_construct(role=role, content=text)  # each was checked when it was said
            for _, turn in self.turns
            for role, text in zip(roles, turn, strict=True)
        ]


@dataclass
class Memory:
    """The conversation that a run belongs to; one run at a time has its turn in it."""

    key: SessionKey
    recall: Callable[[], History]
    """What was said in it, up to now."""
    forgets: bool = False
    """Whether it began anew since this run did."""


@dataclass(frozen=True)
class Prompt:
    """What a language model is asked."""

    messages: Sequence[Message]
    dropped: int = 0
    """Messages of the conversation that are not among them."""
    can_be_shorter: bool = False
    """Whether more of them could be left out."""


@dataclass(frozen=True)
class Composer:
    """Puts instruction, history and question together."""

    system: str
    """The instruction."""
    history: History
    overflow: Overflow
    providers: Sequence[ContextProvider] = ()

    async def compose(self, request: Request, question: str, window: Window | None) -> Prompt:
        """The question to a model, or the conversation that `request` brings, as it fits into the `window`.

        Raises EngineError(context_length_exceeded) where it does not, and is not to be shortened.
        """
        asked = request.messages or [Message(role=Role.USER, content=question)]
        given = "" if asked[0].role is Role.SYSTEM else self.system
        known = [text for provider in self.providers if (text := provider(request))]
        instruction = [given, *known]
        if window is None:
            return self._whole(instruction, asked)
        history = self.history.latest(window.most_bytes)
        left_out = len(self.history.turns) - len(history.turns)
        parts = Parts.of([*_instruction(*instruction), *history.messages, *asked])
        if not left_out and await window.holds(parts.without(0)):
            return self._whole(instruction, asked)
        if self.overflow is Overflow.ERROR:
            whole = await window.count(self._whole(instruction, asked).messages)
            raise too_long(whole, window.tokens, reserved=window.reserved)
        if self.overflow is Overflow.SUMMARIZE and self.history.turns:
            summarized = await self._summarized(instruction, asked, window)
            if summarized:
                return summarized
        dropped = await window.overflow(parts)
        return Prompt(parts.without(dropped), 2 * left_out + dropped, can_be_shorter=dropped < len(parts.earlier))

    def _whole(self, instruction: Sequence[str], asked: Sequence[Message]) -> Prompt:
        parts = Parts.of([*_instruction(*instruction), *self.history.messages, *asked])
        can_be_shorter = self.overflow is not Overflow.ERROR and bool(parts.earlier)
        return Prompt(parts.without(0), can_be_shorter=can_be_shorter)

    async def _summarized(self, instruction: Sequence[str], asked: Sequence[Message], window: Window) -> Prompt | None:
        """With a summary in place of what does not fit; None where none could be had."""
        share = (window.tokens - window.reserved) // _SUMMARY_SHARE
        room = replace(window, reserved=window.reserved + share)
        history = self.history.latest(room.most_bytes)
        parts = Parts.of([*_instruction(*instruction), *history.messages, *asked])
        turns = len(self.history.turns) - len(history.turns) + (await room.overflow(parts) + 1) // 2
        summary = await self._summary(self.history.turns[:turns], share, room) if turns else ""
        if not summary:
            return None
        left = replace(self.history, turns=self.history.turns[turns:]).messages
        messages = [*_instruction(*instruction, f"{_SO_FAR} {summary}"), *left, *asked]
        return Prompt(messages, 2 * turns, can_be_shorter=bool(left))

    async def _summary(self, turns: Sequence[Numbered], most_tokens: int, window: Window) -> str:
        history, last = self.history, turns[-1].number
        if history.summarized >= last:
            return history.summary
        new = History(turns=[turn for turn in turns if turn.number > history.summarized]).latest(window.most_bytes)
        told = Message(role=Role.SYSTEM, content=f"{_SUMMARIZE}\n{_SO_FAR} {history.summary}")
        too_many = await window.overflow(Parts([told], new.messages, told))
        lines = [f"{_SO_FAR} {history.summary}"] if history.summary else []
        lines += [f"User: {turn.question}\nAssistant: {turn.answer}" for _, turn in new.turns[(too_many + 1) // 2 :]]
        asked = [
            Message(role=Role.SYSTEM, content=_SUMMARIZE),
            Message(role=Role.USER, content="\n".join(lines)),
        ]
        sampling = Sampling(max_tokens=max(1, most_tokens))
        try:
            async with aclosing(window.engine.chat(asked, sampling)) as deltas:
                pieces = [delta.text async for delta in deltas]
        except EngineError as exc:
            logger.warning("no summary, what does not fit is left out: %s", exc.message)
            return ""
        summary = "".join(pieces).strip()
        if summary:
            history.on_summary(summary, last)
        return summary


def _instruction(*parts: str) -> list[Message]:
    """One message: the forms of some models have room for no second."""
    text = "\n\n".join(part for part in parts if part.strip())
    return [Message(role=Role.SYSTEM, content=text)] if text else []
