"""Which engine is taken, and what is said where none can be."""

from pathlib import Path

import pytest

from agent.contract.terms import Stage
from agent.engines import registry
from agent.engines.scripted import ScriptedLanguageModelOptions
from agent.errors import EngineError

EVERY = [(stage, name) for stage, names in registry.ENGINES.items() for name in names]


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_every_option_has_a_default_and_a_meaning(stage, name):
    options = registry.leaf(stage, name).Options
    options()
    assert all(field.description for field in options.model_fields.values())


def test_an_explicit_name_and_its_options_are_taken(tmp_path):
    options = registry.choose(Stage.LLM, "scripted", {"slots": 3}, tmp_path)
    assert options == ("scripted", ScriptedLanguageModelOptions(slots=3))


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(EngineError, match=r"no stt engine 'dragon'; there are auto, .*pocketsphinx.*scripted"):
        registry.choose(Stage.STT, "dragon", {}, tmp_path)


def test_a_misspelt_option_is_named_with_those_there_are(tmp_path):
    with pytest.raises(EngineError, match=r"scripted options: txet: .*it knows text, delay_s"):
        registry.choose(Stage.STT, "scripted", {"txet": "hello"}, tmp_path)


def test_auto_never_takes_a_scripted_engine_and_says_why_it_found_none(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.engines.llm_llamacpp.find_spec", lambda _: object())
    with pytest.raises(EngineError, match=r"llamacpp: no model at .*`edgevoice models pull smollm2-135m` fetches it"):
        registry.choose(Stage.LLM, "auto", {}, tmp_path)


def test_auto_takes_the_first_that_is_there(monkeypatch):
    monkeypatch.setattr("agent.engines.tts_flite.Flite.missing", lambda *_: "not here")
    monkeypatch.setattr("agent.engines.tts_espeak.Espeak.missing", lambda *_: None)
    assert registry.choose(Stage.TTS, "auto", {}, Path())[0] == "espeak"
