"""Which engines there are, and which one to take: a leaf's module is imported only when its name comes up."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.contract.wire import first_fault
from agent.engines.base import Engine, EngineOptions
from agent.engines.settings import AUTO
from agent.errors import EngineError

_SCRIPTED = "scripted"

ENGINES: dict[Stage, dict[str, str]] = {
    Stage.STT: {
        "whispercpp": "agent.engines.stt_whispercpp:WhisperCpp",
        "pocketsphinx": "agent.engines.stt_pocketsphinx:PocketSphinx",
        _SCRIPTED: "agent.engines.scripted:ScriptedSpeechToText",
    },
    Stage.LLM: {
        "mlc": "agent.engines.llm_mlc:Mlc",
        "llamacpp": "agent.engines.llm_llamacpp:LlamaCpp",
        "openai": "agent.engines.llm_openai:OpenAi",
        "triton": "agent.engines.llm_triton:Triton",
        _SCRIPTED: "agent.engines.scripted:ScriptedLanguageModel",
    },
    Stage.TTS: {
        "coqui": "agent.engines.tts_coqui:Coqui",
        "flite": "agent.engines.tts_flite:Flite",
        "espeak": "agent.engines.tts_espeak:Espeak",
        _SCRIPTED: "agent.engines.scripted:ScriptedTextToSpeech",
    },
}
"""Every engine of a stage, the one that `auto` likes best first."""


def leaf(stage: Stage, name: str) -> type[Engine]:
    """The engine `name` of `stage`; EngineError lists the names there are."""
    try:
        module, attribute = ENGINES[stage][name].split(":")
    except KeyError as exc:
        known = ", ".join(ENGINES[stage])
        raise EngineError(
            stage, f"no {stage.value} engine {name!r}; there are {AUTO}, {known}", retriable=False
        ) from exc
    engine: type[Engine] = getattr(import_module(module), attribute)
    return engine


def leaves(stage: Stage) -> dict[str, type[Engine]]:
    """Every engine of `stage` by name, each with its `Options`; loads no engine's library."""
    return {name: leaf(stage, name) for name in ENGINES[stage]}


def choose(stage: Stage, name: str, options: dict[str, Any], models_dir: Path) -> tuple[str, EngineOptions]:
    """The engine to load and its checked options; EngineError says why there is none."""
    if name != AUTO:
        return name, _usable(stage, name, options, models_dir)
    reasons = []
    for candidate in ENGINES[stage]:
        if candidate == _SCRIPTED:
            continue
        try:
            return candidate, _usable(stage, candidate, options, models_dir)
        except EngineError as exc:
            reasons.append(exc.message)
    message = f"no {stage.value} engine can be loaded here: {'; '.join(reasons)}"
    raise EngineError(stage, message, code=ErrorCode.MODEL_NOT_READY, retriable=False)


def _usable(stage: Stage, name: str, options: dict[str, Any], models_dir: Path) -> EngineOptions:
    engine = leaf(stage, name)
    try:
        checked = engine.Options.model_validate(options)
    except ValidationError as exc:
        field, message = first_fault(exc)
        known = ", ".join(engine.Options.model_fields) or "none"
        raise EngineError(
            stage, f"{name} options: {field or 'all'}: {message} (it knows {known})", retriable=False
        ) from exc
    try:
        reason = engine.missing(checked, models_dir)
    except OSError as exc:
        reason = f"cannot read {exc.filename}: {exc.strerror}"
    if reason:
        raise EngineError(stage, f"{name}: {reason}", code=ErrorCode.MODEL_NOT_READY, retriable=False)
    return checked
