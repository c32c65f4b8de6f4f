"""Prompt templates: a prompt with places in it, what belongs in them, and how its model is to be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_serializer, model_validator
from typing_extensions import Self

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_TEMPLATE_KEYS
from agent.contract.messages import Sampling, TemplateText
from agent.contract.wire import WireModel

QUESTION = "user"
"""The place of what is asked."""

_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}|[{}]")
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?")
_MAX_TOLD = 200


def _as_sampling(config: object) -> object:
    """Numbers may stand in strings, and a single stop string by itself."""
    if not isinstance(config, dict):
        return config
    read = {name: _number(value) if isinstance(value, str) else value for name, value in config.items()}
    match config.get("stop"):
        case str(one):
            return {**read, "stop": (one,)}
        case [*several]:
            return {**read, "stop": tuple(several)}
    return read


def _number(text: str) -> object:
    if not _NUMBER.fullmatch(text.strip()):
        return text
    return float(text) if "." in text else int(text)


_Written = dict[str, float | str | list[str] | None]


class Template(WireModel):
    """A prompt with places, `{key}`; every further key of it is what goes there, as long as nobody says otherwise.

    The place of the question is `{user}`. A key whose value is null must be given with each request. `{{` and `}}` are
    braces. Nothing else is done: what a place is filled with is not looked into.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, TemplateText | None] = Field(init=False)

    config: Annotated[Sampling, BeforeValidator(_as_sampling, json_schema_input_type=Sampling | _Written)] = Sampling()
    """How the language model picks its words, where neither request nor conversation says; numbers may be strings."""
    template: TemplateText
    """The prompt, with its places."""

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        if len(self.values) > MAX_TEMPLATE_KEYS:
            raise ValueError(f"has {len(self.values)} keys; {MAX_TEMPLATE_KEYS} are the most")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        config = self.config.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return {"config": config, **self.values, "template": self.template}

    @property
    def values(self) -> Mapping[str, str | None]:
        """What goes into which place; None where each request must say."""
        return self.__pydantic_extra__ or {}

    @property
    def places(self) -> list[str]:
        """The keys in the prompt, in their order. ContractError(template_invalid) for a brace that belongs to none."""
        return list(dict.fromkeys(name for name in self._parts() if name))

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys that each request must give."""
        return tuple(name for name, value in self.values.items() if value is None and name != QUESTION)

    def check(self) -> None:
        """ContractError(template_invalid) where the prompt and the keys do not go together; it names them all."""
        places = self.places
        missing = [name for name in places if name not in self.values and name != QUESTION]
        unused = [name for name in self.values if name not in places and name != QUESTION]
        if QUESTION not in places:
            raise invalid(f"the prompt has no place for the question: write {{{QUESTION}}}", missing=[QUESTION])
        _refuse(missing, unused, "the template has no key for the places", "the prompt has no places for its keys")

    def check_given(self, given: Mapping[str, str]) -> None:
        """The same for a request that brings `given` for its places."""
        self.check()
        missing = [name for name in self.needs if name not in given]
        unused = [name for name in given if name not in self.values or name == QUESTION]
        _refuse(missing, unused, "the request says nothing for the keys", "the template has no keys")

    def render(self, question: str, given: Mapping[str, str]) -> str:
        """The prompt for `question`, with `given` in its places. ContractError(template_invalid)."""
        self.check_given(given)
        filled = {**self.values, **given, QUESTION: question}
        parts, end = [], 0
        for match in _PART.finditer(self.template):
            parts += [self.template[end : match.start()], filled[match[1]] or "" if match[1] else match[0][0]]
            end = match.end()
        return "".join([*parts, self.template[end:]])

    def _parts(self) -> Iterable[str | None]:
        for match in _PART.finditer(self.template):
            if match[0] in "{}":
                raise invalid(
                    f"the brace at character {match.start() + 1} of the prompt belongs to no key;"
                    f" a place is `{{key}}`, and a brace itself is written twice"
                )
            yield match[1]


def invalid(message: str, *, missing: Iterable[str] = (), unused: Iterable[str] = ()) -> ContractError:
    """Why a template cannot be used, or not so."""
    return ContractError(
        ErrorCode.TEMPLATE_INVALID,
        message,
        field="template",
        missing_keys=tuple(missing),
        unused_keys=tuple(unused),
    )


def _refuse(missing: list[str], unused: list[str], for_missing: str, for_unused: str) -> None:
    told = [
        f"{what}: {', '.join(names)[:_MAX_TOLD]}"
        for what, names in ((for_missing, missing), (for_unused, unused))
        if names
    ]
    if told:
        raise invalid("; ".join(told), missing=missing, unused=unused)
