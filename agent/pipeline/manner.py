"""How a request is to be answered: what it leaves open is filled in by its conversation, its persona, its template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.personas import Persona
from agent.contract.sessions import SessionConfig
from agent.contract.templates import Template


def no_template(name: str) -> Template:
    """Stands for the templates of who has none: raises ContractError(not_found)."""
    raise ContractError(ErrorCode.NOT_FOUND, f"no template {name!r} is known", field="template")


@dataclass(frozen=True)
class Manner:
    """How one request is answered."""

    request: Request
    """With all that it leaves open, as it holds for it."""
    template: Template | None = None
    """What the question is put into."""

    def prompt(self, question: str) -> str:
        """The question, as the model is asked it."""
        return self.template.render(question, self.request.vars) if self.template else question


@dataclass(frozen=True)
class Manners:
    """What requests may name, to be answered by it."""

    personas: Mapping[str, Persona] = field(default_factory=dict)
    template: Callable[[str], Template] = no_template
    """The template of a name. Raises ContractError(not_found)."""

    def of(self, request: Request, config: SessionConfig | None = None, *, asks_model: bool = True) -> Manner:
        """How `request` is answered in a conversation with `config`.

        The request itself goes first, then a persona that it names, then the conversation, the conversation's persona,
        and the template, where a question to the model goes into one: `messages` are all that it is asked, and there
        may be no question for it. Raises ContractError: not_found, or template_invalid.
        """
        config = config or SessionConfig()
        layers: list[Persona] = [config]
        if request.persona:
            layers.insert(0, self._persona(request.persona))
        elif config.persona:
            layers.append(self._persona(config.persona))
        for layer in layers:
            request = layer.applied_to(request)
        if not asks_model or request.messages is not None:
            return Manner(request)
        if request.template is None:
            if request.vars:
                raise ContractError(ErrorCode.BAD_REQUEST, "vars go with a template; name one", field="vars")
            return Manner(request)
        template = self.template(request.template)
        template.check_given(request.vars)
        return Manner(Persona(params=template.config).applied_to(request), template)

    def _persona(self, name: str) -> Persona:
        if found := self.personas.get(name):
            return found
        known = ", ".join(self.personas) or "none"
        raise ContractError(ErrorCode.NOT_FOUND, f"no persona {name!r}; there are {known}", field="persona")
