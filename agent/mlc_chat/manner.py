"""How a ChatModule talks until it is reset: what is said of it in several places, the nearest one first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from typing_extensions import Self

from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role
from agent.contract.wire import first_fault
from agent.mlc_chat.config import ChatConfig, ConvConfig, GenerationConfig, check

logger = logging.getLogger(__name__)

RAW = "LM"
"""The template of raw text."""

_RAW_STYLE = 1
_SAMPLED = ("temperature", "top_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed")
_SHOULD_BE = {"max_tokens": "max_gen_len"}


@dataclass(frozen=True)
class Own:
    """What a model says of itself, and its engine does not see to."""

    template: str | None = None
    """Name of its form of conversation."""
    system: str | None = None
    """Instruction; None where it is in the form."""
    max_gen_len: int | None = None
    """Longest answer [tokens]."""
    end_tokens: frozenset[int] | None = None
    """Tokens at which it ends; None where nobody tells."""


_UNSAID = Own(max_gen_len=512)


@dataclass(frozen=True)
class Manner:
    """How it talks, the model's own ways included; made by `of`."""

    raw: bool
    """Whether prompts reach the model as they are, each by itself."""
    instruction: tuple[Message, ...]
    """What a conversation begins with; one message or none."""
    before: tuple[Message, ...]
    """What counts as said when it begins."""
    stop: tuple[str, ...]
    """Every answer ends before these."""
    chat: ChatConfig
    own: Own

    @classmethod
    def of(cls, own: Own, chat: ChatConfig) -> Self:
        """`chat`, and its `conv_config`, over what is the model's `own`. ValueError where that cannot be."""
        conv = chat.conv_config or ConvConfig()
        check(chat)
        check(conv)
        _check_ends(own, conv)
        raw = _is_raw(own, chat, conv)
        system = own.system if conv.system is None else conv.system
        manner = cls(
            raw=raw,
            instruction=(spoken(Role.SYSTEM, system),) if system and not raw else (),
            before=() if raw else _before(conv),
            stop=(conv.stop_str,) if conv.stop_str else (),
            chat=chat,
            own=own,
        )
        manner.sampling(GenerationConfig())  # says now what is out of its range
        return manner

    def sampling(self, call: GenerationConfig) -> Sampling:
        """How words are picked for one `call`. ValueError names what is out of its range."""
        stop = [call.stop] if isinstance(call.stop, str) else call.stop or []
        said = {name: _nearest(name, call, self.chat) for name in _SAMPLED}
        most = _nearest("max_gen_len", call, self.chat, self.own, _UNSAID)
        try:
            return Sampling(**said, max_tokens=most, stop=(*self.stop, *stop))
        except ValidationError as exc:
            field, message = first_fault(exc)
            raise ValueError(f"{_SHOULD_BE.get(field or '', field)}: {message}") from exc


def spoken(role: Role, text: str) -> Message:
    """What somebody says. ValueError where that is nothing, or cannot be said."""
    try:
        return Message(role=role, content=text)
    except ValidationError as exc:
        raise ValueError(f"what the {role.value} says {first_fault(exc)[1]}") from exc


def _nearest(name: str, *configs: GenerationConfig | ChatConfig | Own) -> Any:
    """What the first of `configs` says that says it; None where none does."""
    return next((said for config in configs if (said := getattr(config, name, None)) is not None), None)


def _is_raw(own: Own, chat: ChatConfig, conv: ConvConfig) -> bool:
    if chat.conv_template not in {None, RAW, own.template}:
        told = f"{RAW} or {own.template}" if own.template else RAW
        raise ValueError(f"ChatConfig.conv_template: this model has its own; say {told}, or leave it out")
    if conv.separator_style not in {None, 0, _RAW_STYLE}:
        raise ValueError("ConvConfig.separator_style: say 0 for a conversation or 1 for raw text")
    if conv.separator_style is not None:
        return conv.separator_style == _RAW_STYLE
    return (chat.conv_template or own.template) == RAW


def _check_ends(own: Own, conv: ConvConfig) -> None:
    if conv.add_bos is False:
        raise ValueError("ConvConfig.add_bos: an engine cannot be kept from the token that its model wants in front")
    if not conv.stop_tokens:
        return
    if own.end_tokens is None:
        logger.warning("stop_tokens %s: taken for the model's own end, which is all that ends it", conv.stop_tokens)
    elif others := sorted(set(conv.stop_tokens) - own.end_tokens):
        known = ", ".join(map(str, sorted(own.end_tokens))) or "not in its file"
        raise ValueError(
            f"ConvConfig.stop_tokens: {others} cannot be told to the engine; the model's own are {known};"
            " say as text, in stop_str, what else is to end it"
        )


def _before(conv: ConvConfig) -> tuple[Message, ...]:
    said: Sequence[Sequence[str]] = conv.messages or ()
    if conv.offset not in {None, len(said)}:
        raise ValueError(
            "ConvConfig.offset: all of `messages` count as said; leave it out, and out of them what is not"
        )
    if said and len({who for who, _ in said}) > len((Role.USER, Role.ASSISTANT)):
        raise ValueError("ConvConfig.messages: only two may speak, the user first")
    return tuple(spoken(Role.USER if who == said[0][0] else Role.ASSISTANT, what) for who, what in said)
