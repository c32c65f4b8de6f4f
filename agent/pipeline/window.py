"""What of a conversation fits into a language model's window, beside the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.contract.messages import Message
from agent.contract.terms import Role
from agent.engines.base import AsyncLanguageModel

_TURN_TOKENS = 16
_FORM_TOKENS = 128
"""What a model's own form may have around a turn, and around the whole, at the most."""
_BYTES_PER_TOKEN = 3
"""Of a model that cannot count; fewer than there are in nearly all languages."""
_STEP = 8
"""So many messages are left out at once: the beginning stays the same for a while, and need not be read again."""


@dataclass(frozen=True)
class Parts:
    """A conversation, as it can be shortened."""

    instruction: Sequence[Message]
    """What is never left out, before everything else."""
    earlier: Sequence[Message]
    """What may be, its beginning first."""
    question: Message
    """What is asked now."""

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Parts:
        """The parts of a conversation that ends with the question."""
        said = (number for number, message in enumerate(messages[:-1]) if message.role is not Role.SYSTEM)
        begin = next(said, len(messages) - 1)
        return cls(messages[:begin], messages[begin:-1], messages[-1])

    def without(self, dropped: int) -> list[Message]:
        """The messages that are left without the first `dropped` of the earlier ones."""
        return [*self.instruction, *self.earlier[dropped:], self.question]

    def cuts(self) -> list[int]:
        """How many of the earlier ones may be dropped, rising to all of them; what is left begins with a question."""
        begins = [number for number, message in enumerate(self.earlier) if number and message.role is Role.USER]
        return [*(number for number in begins if number % _STEP == 0 or number == begins[-1]), len(self.earlier)]


@dataclass(frozen=True)
class Window:
    """The room that a model has for a conversation."""

    engine: AsyncLanguageModel
    tokens: int
    """That it can hold, the answer included."""
    reserved: int
    """For the answer."""

    async def count(self, messages: Sequence[Message]) -> int:
        """The tokens of `messages`, by the engine's own tokenizer where it tells."""
        counted = await self.engine.count(messages)
        return sum(_tokens(message) for message in messages) if counted is None else counted

    async def holds(self, messages: Sequence[Message]) -> bool:
        """Whether `messages` fit, and the answer."""
        room = self.tokens - self.reserved
        most = sum(_TURN_TOKENS + len(message.content.encode()) for message in messages) + _FORM_TOKENS
        return most <= room or await self.count(messages) <= room

    async def overflow(self, parts: Parts) -> int:
        """How many of the earlier messages are too many; all, where the rest does not fit even without them."""
        if await self.holds(parts.without(0)):
            return 0
        cuts = parts.cuts()
        low, high = 0, len(cuts) - 1
        while low < high:  # the first that is enough
            middle = (low + high) // 2
            if await self.holds(parts.without(cuts[middle])):
                high = middle
            else:
                low = middle + 1
        return cuts[low]


def _tokens(message: Message) -> int:
    return _TURN_TOKENS + len(message.content.encode()) // _BYTES_PER_TOKEN
