"""Chats with models that the settings register under names of MLC's."""

import json
from contextlib import ExitStack

import pytest

from agent.mlc_chat import ChatModule

NAME = "Llama-2-7b-chat-hf-q4f16_1"


@pytest.fixture
def registered(monkeypatch):
    """Registers an engine, the scripted one unless another is named, under NAME; its options are given by name."""

    def register(engine="scripted", /, *, settings=None, **options):
        models = {NAME: {"name": engine, "options": options, **(settings or {})}}
        monkeypatch.setenv("EDGEVOICE_MODELS", json.dumps(models))

    return register


@pytest.fixture
def chat(registered):
    """Makes a ChatModule over the scripted engine, which is closed at the end."""
    with ExitStack() as chats:

        def make(chat_config=None, *, settings=None, **options):
            registered(settings=settings, **options)
            return chats.enter_context(ChatModule(NAME, chat_config=chat_config))

        yield make
