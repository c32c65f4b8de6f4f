"""What of a conversation fits into a language model's window, beside the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from weakref import WeakKeyDictionary

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message
from agent.contract.terms import Role
from agent.engines.base import AsyncLanguageModel
from agent.errors import EngineError

_TURN_TOKENS = 16
_FORM_TOKENS = 128
"""What a model's own form may have around a turn, and around the whole, at the most."""
_BYTES_PER_TOKEN = 3
"""Of a model that cannot count; fewer than there are in nearly all languages."""
_LESS = 0.75
"""So much less is asked of a model that refused, and did not say what would fit."""
_OFF = 1.02
"""How far off what is reckoned may be from what the model counted."""
_MOST_BYTES_PER_TOKEN = 16
"""No text that is worth its place has more: what is beyond that cannot fit, and need not be counted."""
STEP = 8
"""So many messages are left out at once, or twice as many, and so on, up to half of what fits: the beginning stays the
same for a while, and need not be read again."""


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

    def cuts(self, step: int = STEP) -> list[int]:
        """How many of the earlier ones may be dropped, rising to all of them; what is left begins with a question."""
        begins = [number for number, message in enumerate(self.earlier) if number and message.role is Role.USER]
        return [*(number for number in begins if number % step == 0 or number == begins[-1]), len(self.earlier)]


@dataclass(frozen=True)
class Window:
    """The room that a model has for a conversation."""

    engine: AsyncLanguageModel
    tokens: int
    """That it can hold, the answer included."""
    reserved: int
    """For the answer."""
    scale: float = 1.0
    """Tokens of the model for one that is reckoned, where it cannot count."""

    @property
    def most_bytes(self) -> int:
        """A conversation with more of them certainly does not fit."""
        return self.tokens * _MOST_BYTES_PER_TOKEN

    async def count(self, messages: Sequence[Message]) -> int:
        """The tokens of `messages`, by the engine's own tokenizer where it tells."""
        counted = await self.engine.count(messages)
        return ceil(self.scale * reckoned(messages)) if counted is None else counted

    async def holds(self, messages: Sequence[Message]) -> bool:
        """Whether `messages` fit, and the answer."""
        room = self.tokens - self.reserved
        most = sum(_TURN_TOKENS + len(message.content.encode()) for message in messages) + _FORM_TOKENS
        return most <= room or await self.count(messages) <= room

    async def overflow(self, parts: Parts) -> int:
        """How many of the earlier messages are too many; all, where the rest does not fit even without them."""
        if await self.holds(parts.without(0)):
            return 0
        cuts = parts.cuts(self._step(parts.earlier))
        low, high = 0, len(cuts) - 1
        while low < high:  # the first that is enough
            middle = (low + high) // 2
            if await self.holds(parts.without(cuts[middle])):
                high = middle
            else:
                low = middle + 1
        return cuts[low]

    def _step(self, earlier: Sequence[Message]) -> int:
        """How many messages are left out at once."""
        if not earlier:
            return STEP
        most = (self.tokens - self.reserved) / 2 / (self.scale * reckoned(earlier) / len(earlier))
        step = STEP
        while 2 * step <= most:
            step *= 2
        return step


class Windows:
    """What is known of the models' windows: what their engines say, and what they refused."""

    def __init__(self) -> None:
        self._learned: WeakKeyDictionary[AsyncLanguageModel, _Learned] = WeakKeyDictionary()

    def of(self, engine: AsyncLanguageModel, *, reserved: int | None) -> Window | None:
        """The model's, with so much for the answer, but half of it at the most; None where nobody knows."""
        learned = self._learned.get(engine)
        tokens = learned.tokens if learned else engine.info.context_window
        if not tokens:
            return None
        half = tokens // 2
        return Window(engine, tokens, min(reserved or half, half), learned.scale if learned else 1.0)

    def learn(self, engine: AsyncLanguageModel, messages: Sequence[Message], refusal: EngineError) -> bool:
        """Whether it is known from now on why the model refused `messages`, so that fewer will be asked."""
        if refusal.code is not ErrorCode.CONTEXT_LENGTH_EXCEEDED:
            return False
        asked, known = reckoned(messages), self.of(engine, reserved=None)
        scale = known.scale if known else 1.0
        told = (refusal.actual or 0) / asked
        if refusal.limit and (known is None or refusal.limit < known.tokens):
            self._learned[engine] = _Learned(int(refusal.limit), max(scale, told))
        elif known and told > scale * _OFF:
            self._learned[engine] = _Learned(known.tokens, told)
        else:
            most = min(known.tokens, scale * asked) if known else asked
            self._learned[engine] = _Learned(int(most * _LESS), scale)
        return True


@dataclass(frozen=True)
class _Learned:
    tokens: int
    scale: float


def reckoned(messages: Sequence[Message]) -> int:
    """The tokens of `messages`, about, for a model that cannot count."""
    return sum(_TURN_TOKENS + len(message.content.encode()) // _BYTES_PER_TOKEN for message in messages)
