"""How a conversation becomes one prompt, for models whose engine does not know their form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typing_extensions import Self

from agent.contract.limits import MAX_STOP_STRINGS
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Stage
from agent.errors import EngineError

_MARKS = re.compile(
    r"<(?=[|\uff5c]\S)"  # ChatML, Llama 3, Phi, Command R; DeepSeek's bars are wide
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|sop|eop|filename|reponame)>)"
    r"|<(?=/?[a-z]+(?:_[a-z]+)+>)"  # Gemma's turns, calls of tools, what parts the files of a repository
    r"|\[(?=/?(?:INST|IMG|ARGS|THINK|PREFIX|MIDDLE|SUFFIX|gMASK|[A-Z]+(?:_[A-Z]+)+)\])"  # Mistral, GLM
    r"|<<(?=/?SYS>>)"
)
"""Where a mark begins that some model's vocabulary has; its first character is what a space is put behind."""


def plain(text: str) -> str:
    """`text` without marks of the model's own: a caller's `<|im_end|>` would be taken for the end of his turn."""
    return _MARKS.sub(lambda mark: f"{mark.group()[0]} {mark.group()[1:]}", text)


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The conversation as every engine's library wants it; what callers wrote has no marks in it."""
    return [{"role": message.role.value, "content": plain(message.content)} for message in messages]


@dataclass(frozen=True)
class _Form:
    source: str
    """Jinja, as in the models' own `tokenizer_config.json`."""
    stop: tuple[str, ...]
    """What the model writes where its turn ends."""


FORMS = {
    "chatml": _Form(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "<|im_start|>assistant\n",
        ("<|im_end|>",),
    ),
    "llama-3": _Form(
        "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>"
        "{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>",),
    ),
    "mistral": _Form(  # it was taught no system message: one goes in front of the first question
        "{% set ns = namespace(system='') %}{% for m in messages %}"
        "{% if m.role == 'system' %}{% set ns.system = m.content + '\n\n' %}"
        "{% elif m.role == 'user' %}[INST] {{ ns.system }}{{ m.content }} [/INST]{% set ns.system = '' %}"
        "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}",
        ("</s>", "[INST]"),
    ),
    "plain": _Form(  # further lines are indented: what begins a line is a turn, whoever writes `System:`
        "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content | indent(1) }}\n{% endfor %}Assistant:",
        ("\nUser:", "\nSystem:"),
    ),
}
"""The forms that come along, by name."""


class PromptTemplate:
    """A form, ready to use; made by `of`."""

    def __init__(self, source: str, stop: tuple[str, ...]) -> None:
        """`source` is Jinja over `messages`, each with `role` and `content`. EngineError where it is not."""
        environment = ImmutableSandboxedEnvironment(keep_trailing_newline=True)
        environment.globals.update(bos_token="", eos_token="", add_generation_prompt=True, raise_exception=_refuse)
        try:
            self._template = environment.from_string(source)
        except TemplateError as exc:
            raise EngineError(Stage.LLM, f"the template is not valid Jinja: {exc}", retriable=False) from exc
        self._stop = stop

    @classmethod
    def of(cls, name: str) -> Self:
        """The form `name`, or the one that is written out in `name`; EngineError lists the names there are."""
        if form := FORMS.get(name):
            return cls(form.source, form.stop)
        if "{{" in name or "{%" in name:
            return cls(name, ())
        raise EngineError(
            Stage.LLM, f"no template {name!r}; there are {', '.join(FORMS)}, or Jinja written out", retriable=False
        )

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt; what callers wrote has no marks in it. EngineError where the form cannot hold the messages."""
        try:
            return self._template.render(messages=turns(messages))
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
            raise EngineError(Stage.LLM, f"the template failed: {exc}", retriable=False) from exc

    def stopping(self, sampling: Sampling) -> Sampling:
        """`sampling` that also stops where the model's turn ends."""
        stop = tuple(dict.fromkeys((*self._stop, *sampling.stop)))[:MAX_STOP_STRINGS]
        return sampling.model_copy(update={"stop": stop})


def _refuse(reason: str) -> None:
    raise TemplateError(reason)
