"""Profiles: settings of lowest rank, each good for the engines it names."""

from typing import Any

import pytest

from agent import profiles
from agent.__main__ import main
from agent.contract.docs import field_docs
from agent.contract.terms import Stage
from agent.engines.registry import leaf
from agent.engines.settings import EngineSettings
from agent.models.catalogue import catalogue
from agent.settings import Settings
from agent.settings_reading import load


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def of(name: str, **settings: Any) -> Settings:
    return Settings(profile=name, **settings)


def engine(settings: Settings, stage: Stage) -> EngineSettings:
    chosen: EngineSettings = getattr(settings, stage.value)
    return chosen


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("name", profiles.names())
def test_its_engines_take_their_options(name: str, stage: Stage) -> None:
    chosen = engine(of(name), stage)

    leaf(stage, chosen.name).Options.model_validate(chosen.options)


@pytest.mark.parametrize("name", profiles.names())
def test_its_models_are_those_its_engines_want(name: str) -> None:
    needed = {catalogue()[model].stage: catalogue()[model] for model in profiles.needs(name).models}

    assert set(needed) == set(Stage)
    for stage, model in needed.items():
        chosen = engine(of(name), stage)
        assert model.engine == chosen.name
        wanted = chosen.options["model"].removeprefix("tts_models/en/").replace("/", "-")
        assert model.name in {wanted, f"whisper-{wanted}", f"coqui-{wanted}"}


@pytest.mark.parametrize("name", [name for name in profiles.names() if name.endswith("gb")])
def test_it_leaves_the_system_some_of_its_memory(name: str) -> None:
    memory = int(name.removeprefix("orin-").removesuffix("gb")) * 10**9

    assert 0 < profiles.needs(name).memory_bytes + of(name).memory.reserve_bytes < 0.7 * memory


def test_it_has_what_the_one_beneath_it_has_and_it_does_not_change() -> None:
    above, beneath = of("orin-64gb"), of("orin-32gb")

    assert above.llm.options == {**beneath.llm.options, "context_window": 8192, "max_num_sequence": 8}
    assert (above.stt, above.llm.environment, above.tts) == (beneath.stt, beneath.llm.environment, beneath.tts)
    assert profiles.needs("orin-64gb").models == profiles.needs("orin-32gb").models


def test_what_is_beneath_it_is_no_level_of_the_topics() -> None:
    assert {of(name).base for name in profiles.names()} == {Settings().base}


def test_the_default_is_the_one_of_the_orin() -> None:
    settings = of("orin")

    assert settings.llm.options["model"] == "Mistral-7B-Instruct-v0.3-q4f16_1-MLC"
    assert (settings.stt.name, settings.llm.name, settings.tts.name) == ("whispercpp", "mlc", "coqui")
    assert settings.llm.load_timeout_s > 600


@pytest.mark.parametrize("source", ["environment", ".env", "edgevoice.toml"])
def test_it_is_named_like_any_setting(source, monkeypatch, tmp_path):
    if source == "environment":
        monkeypatch.setenv("EDGEVOICE_PROFILE", "orin-8gb")
    if source == ".env":
        (tmp_path / ".env").write_text("EDGEVOICE_PROFILE=orin-8gb\n")
    if source == "edgevoice.toml":
        (tmp_path / "edgevoice.toml").write_text('profile = "orin-8gb"\n')

    assert load().llm.options["model"] == "Qwen2.5-1.5B-Instruct-q4f16_1-MLC"


def test_everything_else_wins_over_it(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEVOICE_PROFILE", "orin")
    monkeypatch.setenv("EDGEVOICE_LLM__OPTIONS", '{"max_num_sequence": 1}')
    (tmp_path / ".env").write_text("EDGEVOICE_STT__OPTIONS__MODEL=small.en\n")
    (tmp_path / "edgevoice.toml").write_text("max_concurrent = 1\n[tts]\ncancel_grace_s = 7.0\n")

    settings = load()

    assert settings.llm.options["max_num_sequence"] == 1
    assert settings.llm.options["device"] == "cuda"
    assert settings.stt.options == {"model": "small.en", "device": "gpu"}
    assert (settings.max_concurrent, settings.tts.cancel_grace_s, settings.tts.name) == (1, 7.0, "coqui")


@pytest.mark.parametrize("given", ["environment", "argument"])
def test_another_engine_gets_none_of_its_options(given, monkeypatch):
    if given == "environment":
        monkeypatch.setenv("EDGEVOICE_TTS__NAME", "espeak")
    settings = of("orin", **({} if given == "environment" else {"tts": EngineSettings(name="espeak")}))

    assert settings.tts == EngineSettings(name="espeak")
    assert settings.stt.name == "whispercpp"


def test_without_one_nothing_changes():
    assert Settings() == Settings.model_construct()


def test_an_unknown_one_is_told_with_those_there_are(monkeypatch, capsys):
    monkeypatch.setenv("EDGEVOICE_PROFILE", "pi")

    assert main(["settings"]) == 78
    assert (
        "setting EDGEVOICE_PROFILE: no profile 'pi'; there are orin, orin-8gb, orin-16gb, orin-32gb, orin-64gb;"
        in capsys.readouterr().err
    )


def test_every_profile_is_listed_where_its_setting_s_meaning_says(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")  # no name is broken at its hyphen
    assert "`edgevoice models pull --help`" in field_docs(Settings)["profile"]

    with pytest.raises(SystemExit):
        main(["models", "pull", "--help"])

    listed = capsys.readouterr().out
    assert all(name in listed for name in profiles.names())


def test_a_home_below_the_user_s_own_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("EDGEVOICE_HOME", "~/voices")

    assert str(Settings().models_dir) == "/home/somebody/voices/models"
