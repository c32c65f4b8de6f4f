"""Fetches the model that the settings ask for, before somebody is to talk to it."""

from __future__ import annotations

from collections.abc import Callable

from agent.models.catalogue import DEFAULT_MODEL, catalogue
from agent.models.pull import pull
from agent.settings import Settings

_EMBEDDED = ("auto", "llamacpp")


def fetch_missing(settings: Settings, report: Callable[[str], None]) -> None:
    """Fetches the language model, where the settings name one of the catalogue and it is not there yet."""
    model = catalogue().get(str(settings.llm.options.get("model", DEFAULT_MODEL)))
    if settings.llm.name not in _EMBEDDED or model is None or model.path(settings.models_dir).is_file():
        return
    pull(model, settings.models_dir, report)
