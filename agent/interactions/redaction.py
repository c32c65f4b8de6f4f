"""What is not to be kept of what people say."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.interactions.interaction import Interaction
from agent.interactions.settings import Redact

_TEXTS = ("question", "transcript", "answer")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w)")
_PHONE = re.compile(r"(?<![\w.])[+(]?\d(?:[ ()/.-]{0,3}\d){6,14}(?!\w)")
_AS_PHONES_BEGIN = re.compile(r"\+|\(|0(?!\.)|\d{3}[-. ]\d{3}[-. ]\d{4}$")
"""From abroad, with an area, at home, as in North America; other numbers are dates, prices, distances."""


def redacted(interaction: Interaction, how: Redact) -> Interaction:
    """`interaction` without its texts (`text`), or with addresses and numbers of people masked in them (`pii`)."""
    if how == "none":
        return interaction
    change: Callable[[str], str | None] = masked if how == "pii" else lambda _: None
    texts = {name: getattr(interaction, name) for name in _TEXTS}
    return interaction.model_copy(update={name: change(text) for name, text in texts.items() if text is not None})


def masked(text: str) -> str:
    """`text` with `[email]`, `[card]` and `[phone]` in place of what looks like one, in digits and signs."""
    text = _EMAIL.sub("[email]", text)
    text = _CARD.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
    return _PHONE.sub(lambda found: "[phone]" if _AS_PHONES_BEGIN.match(found[0]) else found[0], text)


def _is_card(number: str) -> bool:
    """By the check digit that all cards have."""
    digits = [int(char) for char in reversed(number) if char.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
