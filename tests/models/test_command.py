"""`edgevoice models`: what a person sees."""

import json
from functools import partial
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.commands import models as command
from agent.models.catalogue import catalogue
from agent.models.verify import faults
from agent.storage import check_home
from tests.models.web_server import Served

WEIGHTS = b"GGUF" + bytes(5_000)


@pytest.fixture(autouse=True)
def _at_home(monkeypatch, models_dir):
    models_dir.parent.mkdir()
    monkeypatch.setenv("EDGEVOICE_HOME", str(models_dir.parent))
    monkeypatch.setenv("EDGEVOICE_ALLOW_EPHEMERAL", "true")


@pytest.fixture
def _catalogued(server, models_dir):
    """Two models: `tiny`, whole, and `liar`, which is no model."""
    server.paths = {"/tiny.gguf": Served(WEIGHTS), "/liar.gguf": Served(b"<html>")}
    about = {"summary": "for the tests", "stage": "llm", "engine": "llamacpp", "license": "0BSD"}
    own = [
        {
            "name": name,
            **about,
            "source": {"kind": "http", "files": [{"name": "model.gguf", "url": f"{server.url}/{name}.gguf"}]},
        }
        for name in ("tiny", "liar")
    ]
    (models_dir.parent / "models.json").write_text(json.dumps(own))


def listed(capsys):
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    return {model["name"]: model for model in json.loads(capsys.readouterr().out)}


@pytest.mark.usefixtures("_catalogued")
def test_a_model_comes_is_checked_and_goes(models_dir, capsys):
    assert listed(capsys)["tiny"]["here"] == "no"
    assert main(["models", "pull", "TINY"]) == 0
    assert "tiny is ready" in capsys.readouterr().out
    tiny = listed(capsys)["tiny"]
    assert (tiny["here"], tiny["checksum"], tiny["folder"]) == ("yes", "recorded at download", f"{models_dir}/tiny")

    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "tiny: ok\n"
    (models_dir / "tiny" / "model.gguf").write_bytes(b"GGUF" + bytes(4_999) + b"x")
    assert main(["models", "verify", "tiny"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "tiny: wrong"
    assert "its sha256 differs" in told[1]
    assert "`edgevoice models pull --verify tiny`" in told[2]
    assert main(["models", "pull", "--verify", "tiny"]) == 0
    assert main(["models", "verify", "tiny"]) == 0

    assert main(["models", "rm", "tiny", "--yes"]) == 0
    assert list(models_dir.iterdir()) == []
    assert main(["models", "verify"]) == 0
    assert "no model of the catalogue is in" in capsys.readouterr().out


@pytest.mark.usefixtures("_catalogued")
def test_a_file_that_is_gone_or_cut_is_seen_without_reading(models_dir, capsys):
    main(["models", "pull", "tiny"])
    path = models_dir / "tiny" / "model.gguf"

    path.write_bytes(WEIGHTS[:-1])
    assert listed(capsys)["tiny"]["here"] == "broken"
    assert main(["models", "verify"]) == 1
    assert "5003 bytes, not 5004" in capsys.readouterr().out
    path.unlink()
    assert main(["models", "verify"]) == 1
    assert f"no file {path}" in capsys.readouterr().out
    (models_dir / "tiny" / "edgevoice.json").write_text("{")
    assert main(["models", "verify"]) == 1
    assert "edgevoice.json cannot be read" in capsys.readouterr().out


def test_a_model_that_was_never_fetched_is_wrong_when_asked_for(capsys):
    assert main(["models", "verify", "whisper-base.en"]) == 1
    assert "no folder" in capsys.readouterr().out


@pytest.mark.usefixtures("_catalogued")
def test_the_first_that_cannot_be_had_ends_it(models_dir, capsys):
    assert main(["models", "pull", "liar", "tiny"]) == 1
    assert "not a GGUF model" in capsys.readouterr().err
    assert main(["models", "pull", "tiny", "nothing"]) == 1
    assert "no model 'nothing' in the catalogue; there are smollm2-135m, " in capsys.readouterr().err
    assert list(models_dir.iterdir()) == []


def test_the_table_has_every_model(models_dir, capsys):
    (models_dir / "mine").mkdir(parents=True)

    assert main(["models", "list"]) == 0

    shown = capsys.readouterr().out
    assert all(model.name in shown for model in catalogue().values())
    assert "recorded at download" in shown
    assert f"Not of the catalogue, in {models_dir}: mine" in shown.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "profile", "names"),
    [
        ([], None, ["smollm2-135m"]),
        (
            ["--profile", "orin-8gb"],
            None,
            ["Qwen2.5-1.5B-Instruct-q4f16_1-MLC", "whisper-base.en", "coqui-ljspeech-vits"],
        ),
        ([], "orin-8gb", ["Qwen2.5-1.5B-Instruct-q4f16_1-MLC", "whisper-base.en", "coqui-ljspeech-vits"]),
        (["whisper-tiny"], "orin-8gb", ["whisper-tiny"]),
    ],
)
def test_a_profile_says_what_to_fetch(arguments, profile, names, monkeypatch):
    pulled: list[str] = []
    monkeypatch.setattr(command, "pull", lambda model, *_, **__: pulled.append(model.name))
    if profile:
        monkeypatch.setenv("EDGEVOICE_PROFILE", profile)

    assert main(["models", "pull", *arguments]) == 0
    assert pulled == names


@pytest.mark.parametrize("name", ["../home", "/etc", ".", "..", "", ".hidden", "a/b"])
def test_only_what_is_a_model_is_deleted(models_dir, capsys, name):
    (models_dir / "a" / "b").mkdir(parents=True)
    (models_dir / ".hidden").mkdir()

    assert main(["models", "rm", "--yes", name]) == 1

    assert "is no name of a model" in capsys.readouterr().err
    assert (models_dir / "a" / "b").is_dir()
    assert (models_dir / ".hidden").is_dir()


def test_of_a_link_only_the_link_is_deleted(models_dir, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.gguf").write_bytes(WEIGHTS)
    models_dir.mkdir()
    (models_dir / "linked").symlink_to(tmp_path / "elsewhere")

    assert main(["models", "rm", "--yes", "linked"]) == 0
    assert list(models_dir.iterdir()) == []
    assert (tmp_path / "elsewhere" / "model.gguf").is_file()


def test_what_is_not_there_cannot_be_deleted(capsys):
    assert main(["models", "rm", "--yes", "whisper-base.en"]) == 1
    assert "there is no model whisper-base.en" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "there"), [("y", False), ("n", True), ("", True)])
def test_who_sits_at_a_terminal_is_asked(models_dir, monkeypatch, answer, there):
    (models_dir / "mine").mkdir(parents=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)

    assert main(["models", "rm", "mine"]) == 0
    assert (models_dir / "mine").is_dir() == there


def test_nobody_at_a_terminal_cannot_be_asked(models_dir, monkeypatch, capsys):
    (models_dir / "mine").mkdir(parents=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)

    assert main(["models", "rm", "mine"]) == 1
    assert "`--yes`" in capsys.readouterr().err
    assert (models_dir / "mine").is_dir()


def test_in_a_container_without_a_volume_nothing_is_fetched(monkeypatch, capsys, models_dir, tmp_path):
    monkeypatch.setenv("EDGEVOICE_ALLOW_EPHEMERAL", "false")
    monkeypatch.setenv("container", "podman")
    mounts = tmp_path / "root" / "proc/self/mountinfo"
    mounts.parent.mkdir(parents=True)
    mounts.write_text("1 0 0:1 / / rw - overlay overlay rw\n")
    monkeypatch.setattr(command, "check_home", partial(check_home, root=tmp_path / "root"))

    assert main(["models", "pull"]) == 1
    assert f"{models_dir.parent} is lost with this container" in capsys.readouterr().err


def test_structures_of_every_kind_are_looked_at(models_dir):
    wrong = {
        "whisper-base.en": ("ggml-base.en.bin", b"lmgg", "bytes, not 147964211"),
        "coqui-vctk-vits": ("config.json", b"{", "no model (.pth)"),
        "Qwen2.5-1.5B-Instruct-q4f16_1-MLC": ("mlc-chat-config.json", b"{}", "ndarray-cache.json in"),
    }
    for name, (file, content, told) in wrong.items():
        folder = models_dir / name
        folder.mkdir(parents=True)
        Path(folder / file).write_bytes(content)
        assert told in "; ".join(faults(catalogue()[name], models_dir))
