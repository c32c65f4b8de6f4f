"""What is fetched lies where the engine looks for it; the entries are those of the catalogue."""

import io
import json
import zipfile

import pytest
from rich.console import Console

from agent.engines.stt_whispercpp import WhisperCpp, WhisperCppOptions
from agent.model_files.coqui import find_voice
from agent.model_files.mlc import find_model
from agent.models.catalogue import CataloguedModel, Http, HttpFile, catalogue
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.models.verify import faults
from tests.engines.mlc_models import make_model
from tests.ggml_model import scripted_model
from tests.models.web_server import Served

QWEN = "Qwen2.5-1.5B-Instruct-q4f16_1-MLC"


@pytest.fixture
def fetch(models_dir, said):
    def fetch(model):
        folder = pull(model, models_dir, Progress(said.append, Console(file=io.StringIO())))
        assert list(faults(model, models_dir)) == []
        return folder

    return fetch


def served_here(name, server, content):
    """The model of that name, as the catalogue has it, but from `server`, and not as large as it says."""
    model: CataloguedModel = catalogue()[name]
    assert isinstance(model.source, Http)
    (file,) = model.source.files
    server.paths[f"/{file.name}"] = Served(content)
    here = HttpFile(name=file.name, url=f"{server.url}/{file.name}", unpack=file.unpack)
    return model.model_copy(update={"source": Http(kind="http", files=(here,))})


def test_whisper_finds_its_model(server, fetch, models_dir, tmp_path):
    made = scripted_model(tmp_path / "made.bin", "turn on the light").read_bytes()

    fetch(served_here("whisper-base.en", server, made))

    missing = WhisperCpp.missing(WhisperCppOptions(model="base.en"), models_dir)
    assert missing is None or "not installed" in missing
    assert WhisperCpp.needs_bytes(WhisperCppOptions(model="base.en"), models_dir) > len(made)


@pytest.mark.parametrize("voice", ["ljspeech", "vctk"])
def test_coqui_finds_its_voice(server, fetch, models_dir, voice):
    checkpoint, archive = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(checkpoint, "w") as file:
        file.writestr("archive/data.pkl", b"")
    with zipfile.ZipFile(archive, "w") as file:
        config = {"model": "vits", "speakers_file": "/home/trainer/speaker_ids.json"}
        file.writestr(f"tts_models--en--{voice}--vits/model_file.pth", checkpoint.getvalue())
        file.writestr(f"tts_models--en--{voice}--vits/config.json", json.dumps(config))
        file.writestr(f"tts_models--en--{voice}--vits/speaker_ids.json", "{}")

    folder = fetch(served_here(f"coqui-{voice}-vits", server, archive.getvalue()))

    found = find_voice(f"tts_models/en/{voice}/vits", models_dir, accept_license=False)
    assert found.checkpoint == folder / "model_file.pth"
    if voice == "vctk":
        assert found.config_here["speakers_file"] == str(folder / "speaker_ids.json")


@pytest.mark.parametrize("listing", ["tensor-cache.json", "ndarray-cache.json"])
def test_mlc_finds_its_model_whatever_its_age(server, fetch, tmp_path, monkeypatch, listing):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    pytest.importorskip("huggingface_hub", reason="pip install 'edgevoice[models]'")
    files = {path.name: path.read_bytes() for path in make_model(tmp_path / "made", listing=listing).iterdir()}
    server.repository(f"mlc-ai/{QWEN}", {**files, "logs.txt": b"..."})

    folder = fetch(catalogue()[QWEN])

    models_dir = folder.parent
    for name in (QWEN, f"HF://mlc-ai/{QWEN}"):
        assert find_model(name, None, models_dir, device="cuda", jit=True).folder == folder
    assert {"tensor-cache.json", "ndarray-cache.json"} <= {path.name for path in folder.iterdir()}
    assert not (folder / "logs.txt").exists()
