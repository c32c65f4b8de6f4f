"""An agent's prompt templates as one sees them from outside: which there are, in which versions, what comes out."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field
from typing_extensions import Self

from agent.contract.messages import PlainText, Sampling, Vars
from agent.contract.templates import QUESTION, Template
from agent.contract.wire import WireModel

_FILE = ".json"


def template_name(name: str) -> str:
    """The template that is meant by `name`, which may be that of its file."""
    return name.removesuffix(_FILE) or name


class TemplateInfo(WireModel):
    """A prompt template, but for what is in it."""

    name: str
    """As requests name it."""
    version: int | None = None
    """Counted from 1; 0 as shipped. Left out by who knows only the latest."""
    saved_at: float | None = None
    """When that version was saved [s since 1970]."""
    needs: tuple[str, ...] = ()
    """The keys of `vars` that each request must give."""


class TemplateList(WireModel):
    """The prompt templates of an agent."""

    templates: tuple[TemplateInfo, ...]
    """By name."""


class StoredTemplate(TemplateInfo):
    """A prompt template."""

    versions: tuple[int, ...] | None = None
    """Those that can be had, the latest last."""
    template: Template | None = None
    """What is in it; left out where that version took it away."""


class Rendering(WireModel):
    """What a template is to be filled with."""

    model_config = ConfigDict(extra="forbid")

    text: PlainText | None = None
    """The question; the template's own `user` when left out."""
    vars: Vars = Field(default_factory=dict)
    """What goes into the other places."""


class Rendered(WireModel):
    """What the language model would be asked."""

    prompt: str
    """The question, in the template."""
    config: Sampling = Sampling()
    """How it would be asked, where neither request nor conversation says."""

    @classmethod
    def of(cls, template: Template, text: str | None, given: Mapping[str, str]) -> Self:
        """`template` with the question `text`, or its own. ContractError(template_invalid)."""
        question = (template.values.get(QUESTION) or "") if text is None else text
        return cls(prompt=template.render(question, given), config=template.config)
