"""The agent's language models, by the names that OpenAI's clients may give them."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.presence import Info
from agent.contract.terms import Stage, is_id
from agent.contract.wire import WireModel

DEFAULT = "default"
"""The agent's own model."""
_OPENAIS = {
    Stage.STT: ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
    Stage.TTS: ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
}
"""Names that programs have built in: there is one engine, and it is meant."""


class Model(WireModel):
    """A model."""

    id: str
    """Its name."""
    object: str = "model"
    """Always that."""
    created: int = 0
    """Not known."""
    owned_by: str
    """The agent's name."""


class ModelList(WireModel):
    """All models."""

    object: str = "list"
    """Always that."""
    data: tuple[Model, ...]
    """Each of them."""


def models_of(info: Info) -> dict[str, Model]:
    """All that may be asked for, by name: `default`, what that one is called, and the others."""
    own = info.engines.get(Stage.LLM)
    names = dict.fromkeys((*info.models, *((own.model,) if own else ())))
    return {name: Model(id=name, owned_by=info.agent) for name in names}


def asked_model(name: str | None, info: Info | None) -> str | None:
    """The model of a request that names `name`; None for the agent's own. ContractError(not_found) for a stranger."""
    own = info.engines.get(Stage.LLM) if info else None
    if not name or name == DEFAULT:
        return None
    if info and name in info.models:
        return name
    if own and name in {own.model, own.label}:
        return None
    if info is None and is_id(name):
        return name  # whether there is one is for the agent to say, once it is there
    raise no_model(name)


def check_speech_model(name: str | None, stage: Stage, info: Info | None) -> None:
    """ContractError(not_found) where neither the agent's engine of `stage` nor one of OpenAI's is called `name`."""
    engine = info.engines.get(stage) if info else None
    own = {engine.name, engine.model, engine.label} if engine else set()
    if name and name not in {DEFAULT, *own, *_OPENAIS[stage]}:
        raise no_model(name)


def name_of(asked: str | None, info: Info | None) -> str:
    """What the model is called that answers who asked for `asked`."""
    own = info.engines.get(Stage.LLM) if info else None
    return asked or (own.model if own else DEFAULT)


def no_model(name: str) -> ContractError:
    """What is said to who asks for a model that there is not."""
    message = f"The model `{name[:80]}` does not exist; `default` is the agent's own."
    return ContractError(ErrorCode.NOT_FOUND, message, field="model")
