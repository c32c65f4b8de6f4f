"""Where a model is found, and what is told of it; MLC is a double."""

import json
import os
from pathlib import Path

import pytest

from agent.errors import EngineError
from agent.mlc_chat import ChatConfig, ChatModule, ConvConfig
from tests.engines.mlc_models import TEMPLATE, make_library, make_model
from tests.mlc_chat.conftest import NAME

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
DOUBLES = ROOT / "tests" / "doubles"
SCRIPT = {"answer": "The model answers."}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, in which MLC's double can be imported, here and in workers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVOICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, DOUBLES))))
    monkeypatch.syspath_prepend(DOUBLES)
    return tmp_path


def prebuilt(here, **config):
    folder = make_model(here / "dist" / "prebuilt" / f"mlc-chat-{NAME}", script=SCRIPT, **config)
    return folder, make_library(here / "dist" / "prebuilt" / "lib" / f"{NAME}-cpu.so")


def asked_of(folder):
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == "asked"]


def test_a_prebuilt_model_is_found_told_and_asked(here, capsys):
    folder, _ = prebuilt(here, conv_template={**TEMPLATE, "name": "llama-2"}, max_gen_len=7)
    conv = ConvConfig(system="Be glad.", stop_tokens=[2])
    with ChatModule(NAME, chat_config=ChatConfig(conv_template="llama-2", top_p=0.5, conv_config=conv)) as cm:
        assert capsys.readouterr().out.splitlines() == [
            f"Using model folder: ./dist/prebuilt/mlc-chat-{NAME}",
            f"Using mlc chat config: ./dist/prebuilt/mlc-chat-{NAME}/mlc-chat-config.json",
            f"Using library model: ./dist/prebuilt/lib/{NAME}-cpu.so",
        ]
        assert cm.generate("Who?") == "The model answers."
    asked = asked_of(folder)[-1]
    assert asked["prompt"] == "<system>Be glad.\n<user> Who?\n<assistant>"
    assert (asked["options"]["top_p"], asked["options"]["max_tokens"]) == (0.5, 7)
    assert "temperature" not in asked["options"]  # the file's own


def test_the_template_of_a_file_may_be_that_of_raw_text(here):
    folder, _ = prebuilt(here, conv_template={**TEMPLATE, "name": "LM"})
    with ChatModule(NAME) as cm:
        assert cm.generate("Life is") == "The model answers."
    assert asked_of(folder)[-1]["prompt"] == "Life is"


def test_a_compiled_model_is_found(here, capsys):
    make_model(here / "dist" / NAME / "params", script=SCRIPT)
    make_library(here / "dist" / NAME / f"{NAME}-cpu.so")
    with ChatModule(NAME, device="cpu:0"):
        assert f"Using library model: ./dist/{NAME}/{NAME}-cpu.so" in capsys.readouterr().out


def test_folder_and_library_may_be_given(here, capsys):
    folder = make_model(here / "elsewhere" / "model", script=SCRIPT)
    library = make_library(here / "other" / "made.so")
    with ChatModule(str(folder), model_lib_path=str(library)) as cm:
        assert capsys.readouterr().out.splitlines()[2] == "Using library model: ./other/made.so"
        assert cm.generate("Who?") == "The model answers."


def test_where_nothing_is_found_every_place_is_told(here):
    with pytest.raises(FileNotFoundError) as caught:
        ChatModule(NAME)
    for place in (NAME, f"dist/prebuilt/mlc-chat-{NAME}", f"dist/{NAME}/params"):
        assert f"{here}/{place}," in str(caught.value)
    assert "below [models]" in str(caught.value)
    make_model(here / "dist" / NAME / "params")
    with pytest.raises(FileNotFoundError, match=rf"no library of {NAME} for cpu; tried .*mlc_llm compile"):
        ChatModule(NAME)


def test_tokens_that_are_not_the_models_own_end_are_refused(here):
    prebuilt(here)
    with pytest.raises(ValueError, match=r"\[5\] cannot be told .* own are 2"):
        ChatModule(NAME, chat_config=ChatConfig(conv_config=ConvConfig(stop_tokens=[2, 5])))


def test_a_repetition_penalty_that_mlc_would_not_take_is_refused(here):
    prebuilt(here)
    with (
        ChatModule(NAME, chat_config=ChatConfig(repetition_penalty=1.3)) as cm,
        pytest.raises(EngineError, match="no repetition_penalty with a request"),
    ):
        cm.generate("Who?")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda0", "", "auto:1"])
def test_a_device_that_is_none_is_refused(device):
    with pytest.raises(ValueError, match=r"say cuda, metal, vulkan, rocm, opencl, cpu or auto"):
        ChatModule(NAME, device=device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "metal", "vulkan:1", "rocm", "opencl", "auto"])
@pytest.mark.usefixtures("here")
def test_a_device_is_a_name_and_perhaps_a_number(device):
    with pytest.raises(FileNotFoundError):
        ChatModule(NAME, device=device)


def test_a_registered_model_runs_as_its_settings_say(registered, capsys):
    registered()
    with pytest.raises(ValueError, match="leave device and model_lib_path out"):
        ChatModule(NAME, device="cuda")
    with ChatModule(NAME):
        assert capsys.readouterr().out == f"Using model of EdgeVoice's settings: {NAME} (scripted)\n"


def test_the_agents_own_model_goes_by_its_name(monkeypatch):
    monkeypatch.setenv("EDGEVOICE_LLM", '{"name": "scripted", "options": {"answer": "Mine."}}')
    with ChatModule("default") as cm:
        assert cm.generate("Who?") == "Mine."
