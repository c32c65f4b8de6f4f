"""The catalogue: sound as shipped, and an operator's own on top of it."""

import json

import pytest

from agent.contract.terms import Stage
from agent.engines.registry import leaves
from agent.models.catalogue import DEFAULT_MODEL, CataloguedModel, CatalogueError, catalogue

OWN = {
    "name": "own",
    "summary": "Mine",
    "stage": "tts",
    "engine": "coqui",
    "license": "MIT",
    "source": {"kind": "http", "files": [{"name": "model.pth", "url": "https://models.example/model.pth"}]},
}


@pytest.mark.parametrize("model", catalogue().values(), ids=list(catalogue()))
def test_every_model_is_for_an_engine_of_its_stage(model: CataloguedModel) -> None:
    assert model.engine in leaves(model.stage)
    assert model.size_bytes
    assert model.size_bytes > 2**20
    assert model.summary
    assert model.page


@pytest.mark.parametrize(
    ("stage", "engine", "name"),
    [
        (Stage.LLM, "llamacpp", "{}"),
        (Stage.LLM, "mlc", "{}"),
        (Stage.STT, "whispercpp", "whisper-{}"),
    ],
)
def test_the_default_model_of_an_engine_can_be_had(stage: Stage, engine: str, name: str) -> None:
    default = leaves(stage)[engine].Options.model_fields["model"].default

    assert catalogue()[name.format(default)].engine == engine


def test_the_default_is_the_one_that_needs_no_web() -> None:
    assert catalogue()[DEFAULT_MODEL].source.kind == "wheel"


def test_an_operator_adds_models_and_replaces_them(tmp_path):
    replaced = {**OWN, "name": DEFAULT_MODEL}
    (tmp_path / "models.json").write_text(json.dumps([OWN, replaced]))

    found = catalogue(tmp_path)

    assert found["own"].summary == found[DEFAULT_MODEL].summary == "Mine"
    assert set(found) == {*catalogue(), "own"}
    assert catalogue()[DEFAULT_MODEL].summary != "Mine"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "../up"}, "0.name: "),
        ({"nonsense": 1}, "0.nonsense: unknown field"),
        ({"source": {"kind": "ftp"}}, "0.source: "),
        ({"source": {"kind": "http", "files": [{"name": "x", "url": "ftp://x/y"}]}}, "0.source.http.files.0.url: "),
        ({"source": {"kind": "http", "files": [{"name": "a/b", "url": "http://x/y"}]}}, "0.source.http.files.0.name: "),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, told):
    (tmp_path / "models.json").write_text(json.dumps([{**OWN, **change}]))

    with pytest.raises(CatalogueError) as caught:
        catalogue(tmp_path)
    assert f"{tmp_path}/models.json: {told}" in str(caught.value)


def test_a_catalogue_that_is_no_json_is_named(tmp_path):
    (tmp_path / "models.json").write_text("[")

    with pytest.raises(CatalogueError, match=r"models.json: Invalid JSON"):
        catalogue(tmp_path)
