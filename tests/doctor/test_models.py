"""Models: absent, begun, broken, foreign and whole ones, each with the command that mends it."""

import json

import pytest

from agent.doctor import engines, models, room
from agent.doctor.finding import Level
from agent.settings import Settings
from tests.engines.mlc_models import FOREIGN_MACHINE, make_library, make_model
from tests.ggml_model import Shape, random_model

OWN = {
    "name": "tiny",
    "summary": "for tests",
    "stage": "llm",
    "engine": "llamacpp",
    "license": "MIT",
    "source": {"kind": "http", "files": [{"name": "model.gguf", "url": "https://example.org/m", "bytes": 5_000}]},
}
NAMED = {"llm": {"name": "llamacpp", "options": {"model": "tiny"}}}


@pytest.fixture
def home(tmp_path):
    """A home whose catalogue has the model `tiny`."""
    folder = tmp_path / "home"
    (folder / "models").mkdir(parents=True)
    (folder / "models.json").write_text(json.dumps([OWN]))
    return folder


@pytest.fixture
def examined(site, home):
    """What is said of the models, with these settings."""

    def examine(**changes):
        return list(models.check(site(settings=Settings.model_validate({"home": home, **changes}))))

    return examine


def put(home, content):
    folder = home / "models" / "tiny"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(content)


def test_a_model_that_is_named_and_not_here(examined):
    (absent,) = examined(**NAMED)

    assert absent.level is Level.FAIL
    assert absent.fix == "edgevoice models pull tiny"


def test_a_download_that_was_interrupted(examined, home):
    (home / "models" / ".tiny.part").mkdir()

    (begun,) = examined(**NAMED)

    assert begun.level is Level.FAIL
    assert "interrupted" in begun.message


@pytest.mark.parametrize(("named", "level"), [(NAMED, Level.FAIL), ({}, Level.WARN)])
def test_a_model_that_is_damaged(examined, home, named, level):
    put(home, b"GGUF")

    (broken,) = examined(**named)

    assert broken.level is level
    assert "has 4 bytes, not 5000" in broken.message
    assert broken.fix == "edgevoice models pull --verify tiny"


def test_a_model_that_is_whole(examined, home):
    put(home, b"GGUF".ljust(5_000))

    (whole,) = examined(**NAMED)

    assert whole.level is Level.OK


def test_models_that_nobody_asks_for_are_not_missed(examined):
    assert examined() == []


def test_a_profile_asks_for_its_models_and_their_room(site, home, monkeypatch):
    monkeypatch.setenv("EDGEVOICE_PROFILE", "orin")
    here = site({"proc/meminfo": "MemAvailable: 2097152 kB\n"}, settings=Settings.model_validate({"home": home}))

    absent = [finding for finding in models.check(here) if finding.name == "model"]
    found = {finding.name: finding for finding in (*engines.check(here), *room.check(here))}

    assert len(absent) == 3
    assert {finding.level for finding in absent} == {Level.FAIL}
    assert found["memory"].level is Level.FAIL
    assert "profile orin need about 9441 MiB" in found["memory"].message
    assert "to be fetched take about" in found["disk"].message


def mlc(folder, library):
    options = {"model": str(folder), "model_lib": str(library), "device": "cpu"}
    return {"llm": {"name": "mlc", "options": options}}


def test_a_library_that_was_compiled_for_another_processor(examined, tmp_path):
    folder = make_model(tmp_path / "Tiny-q4f16_1")
    library = make_library(tmp_path / "lib.so", machine=FOREIGN_MACHINE)

    (foreign,) = examined(**mlc(folder, library))

    assert foreign.level is Level.FAIL
    assert f"{library} was compiled for " in foreign.message
    assert (foreign.fix or "").startswith(f"mlc_llm compile {folder} --device cpu -o ")


def test_a_library_of_this_machine(examined, tmp_path):
    folder, library = make_model(tmp_path / "Tiny-q4f16_1"), make_library(tmp_path / "lib.so")

    (good,) = examined(**mlc(folder, library))

    assert good.level is Level.OK
    assert str(library) in good.message


def test_everything_that_is_wrong_with_a_model_of_mlc_is_told(examined, tmp_path):
    folder = make_model(tmp_path / "Tiny-q4f16_1")
    (folder / "params_shard_1.bin").write_bytes(b"cut")
    (folder / "tokenizer.json").unlink()

    found = examined(**mlc(folder, make_library(tmp_path / "lib.so")))

    assert [finding.level for finding in found] == [Level.FAIL, Level.FAIL]


def test_a_whisper_model_that_is_cut_off_and_one_that_is_whole(examined, tmp_path):
    model = random_model(tmp_path / "model.bin", Shape())
    named = {"stt": {"name": "whispercpp", "options": {"model": str(model)}}}
    assert [finding.level for finding in examined(**named)] == [Level.OK]

    model.write_bytes(model.read_bytes()[:-1_000])

    (cut,) = examined(**named)
    assert cut.level is Level.FAIL
    assert "cut off" in cut.message


def test_a_gguf_file_that_is_another(examined, tmp_path):
    model = tmp_path / "model.gguf"
    model.write_bytes(b"<html>")

    (found,) = examined(llm={"name": "llamacpp", "options": {"model": str(model)}})

    assert found.level is Level.FAIL
    assert "not a GGUF model" in found.message


def test_an_own_catalogue_that_cannot_be_read_is_one_line(home, monkeypatch, doctor):
    (home / "models.json").write_text("[{]")
    monkeypatch.setenv("EDGEVOICE_HOME", str(home))

    _, findings = doctor("--no-broker")

    (broken,) = [finding for finding in findings if finding["name"] == "models"]
    assert broken["level"] == "fail"
    assert str(home / "models.json") in broken["message"]
