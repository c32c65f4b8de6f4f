"""A model from Hugging Face: listed by its own library, from a server that answers as the real one does."""

import io
from collections import deque

import pytest
from rich.console import Console

from agent.contract.terms import Stage
from agent.models import from_hub
from agent.models.catalogue import CataloguedModel, HuggingFace
from agent.models.errors import PullError
from agent.models.manifest import Manifest
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.models.verify import faults
from tests.models.web_server import Served

pytestmark = pytest.mark.once

REPOSITORY = "mlc-ai/Tiny-MLC"
WEIGHTS = bytes(range(256)) * 1_000
FILES = {"params_shard_0.bin": WEIGHTS, "old/list.json": b"[]", "README.md": b"Tiny", ".gitattributes": b"*.bin lfs"}
TOKEN = "hf_secret"


@pytest.fixture(autouse=True)
def _its_library():
    pytest.importorskip("huggingface_hub", reason="pip install 'edgevoice[models]'")


@pytest.fixture(autouse=True)
def commit(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    return server.repository(REPOSITORY, FILES, large=("params_shard_0.bin",))


@pytest.fixture
def fetch(models_dir, said):
    progress = Progress(said.append, Console(file=io.StringIO()))

    def fetch(*, token_file=None, page=None, **source):
        model = CataloguedModel(
            name="tiny",
            summary="for the tests",
            stage=Stage.LLM,
            engine="none",
            license="0BSD",
            page=page,
            source=HuggingFace(kind="huggingface", repository=REPOSITORY, **source),
        )
        folder = pull(model, models_dir, progress, token_file=token_file)
        assert list(faults(model, models_dir)) == []
        return folder

    return fetch


def names(folder):
    return {path.name for path in folder.iterdir()} - {"edgevoice.json"}


def test_the_files_that_are_wanted_come_with_their_checksums(commit, fetch, models_dir):
    folder = fetch(include=["params_shard_*.bin", "*.json"], also={"list.json": "index.json"})

    assert (folder / "params_shard_0.bin").read_bytes() == WEIGHTS
    assert names(folder) == {"params_shard_0.bin", "list.json", "index.json"}
    manifest = Manifest.read(folder)
    assert manifest
    assert manifest.revision == commit
    assert all(file.published for file in manifest.files.values())
    assert [path.name for path in models_dir.iterdir()] == ["tiny"]


def test_a_file_may_be_called_otherwise(fetch):
    assert names(fetch(include=["*.bin"], rename={"params_shard_0.bin": "model.gguf"})) == {"model.gguf"}


def test_what_came_is_not_fetched_again(commit, fetch, server):
    path = f"/{REPOSITORY}/resolve/{commit}/params_shard_0.bin"
    large = server.paths[server.paths[path].headers["Location"].removeprefix(f"http://localhost:{server.port}")]
    large.mishaps = deque([("cut", 100_000), *[("status", 503)] * 4])
    with pytest.raises(PullError, match="what has come is kept"):
        fetch(include=["*.bin", "*.md"])

    fetch(include=["*.bin", "*.md"])

    assert server.requests(path)[-1]["range"] == "bytes=100000-"
    assert len(server.requests(f"/{REPOSITORY}/resolve/{commit}/README.md")) == 1


@pytest.mark.parametrize("place", ["environment", "file", "credential"])
def test_the_token_goes_to_hugging_face_alone(fetch, server, monkeypatch, tmp_path, place):
    for served in server.paths.values():
        if served.content != WEIGHTS:
            served.token = TOKEN
    (tmp_path / "hf-token").write_text(f"{TOKEN}\n")
    if place == "environment":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    if place == "credential":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    fetch(token_file=tmp_path / "hf-token" if place == "file" else None)

    stranger = [asked.headers for asked in server.asked if asked.path.startswith("/cdn/")]
    assert len(stranger) == 1
    assert "authorization" not in stranger[0]


def test_a_token_file_that_is_not_there_is_named(fetch, tmp_path):
    with pytest.raises(PullError, match=r"token in .*/none cannot be read"):
        fetch(token_file=tmp_path / "none")


@pytest.mark.parametrize(
    ("gated", "token"), [("/", None), ("/resolve/", None), ("/", "hf_wrong"), ("/resolve/", "hf_wrong")]
)
def test_a_model_that_asks_for_consent_says_how_it_is_given(fetch, server, monkeypatch, gated, token):
    for path, served in server.paths.items():
        if gated in path:
            served.token = TOKEN
    if token:
        monkeypatch.setenv("HF_TOKEN", token)

    with pytest.raises(PullError) as caught:
        fetch(page="https://models.example/tiny")

    told = str(caught.value)
    assert ("with this HF_TOKEN" if token else "without HF_TOKEN") in told
    assert "(HTTP 401); accept its licence on https://models.example/tiny, make a token that may read it" in told
    assert "hf_wrong" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"revision": "old"}, "no mlc-ai/Tiny-MLC at revision old on 127.0.0.1.*HTTP 404"),
        ({"include": ["*.safetensors"]}, r"mlc-ai/Tiny-MLC has no file like \*.safetensors"),
        ({"rename": {"README.md": "list.json"}}, "two files of one name"),
    ],
)
def test_what_is_not_there_is_named(fetch, source, message):
    with pytest.raises(PullError, match=message):
        fetch(**source)


def test_a_file_that_came_damaged_is_not_kept(commit, fetch, server, models_dir):
    server.paths[f"/{REPOSITORY}/resolve/{commit}/README.md"].content = b"Tony"

    with pytest.raises(PullError, match=r"README.md of mlc-ai/Tiny-MLC came damaged"):
        fetch(include=["*.md"])

    assert list(models_dir.iterdir()) == []


def test_a_server_that_is_ill_or_away_is_named(fetch, server, monkeypatch):
    listing = f"/api/models/{REPOSITORY}/revision/main?blobs=true"
    server.paths[listing] = Served(status=500)
    with pytest.raises(PullError, match=r"does not give mlc-ai/Tiny-MLC \(HTTP 500\); try again later"):
        fetch()

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(PullError, match=r"cannot reach 127.0.0.1:1: .*; check the network, the proxy and HF_ENDPOINT"):
        fetch()


def test_without_its_library_it_says_how_to_get_it(fetch, monkeypatch):
    monkeypatch.setattr(from_hub, "find_spec", lambda _: None)

    with pytest.raises(PullError, match=r"pip install 'edgevoice\[models\]'"):
        fetch()


def test_a_repository_that_moved_is_followed_with_the_token(commit, fetch, server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    moved = Served(status=307, headers={"Location": "/moved/README.md"}, token=TOKEN)
    server.paths[f"/{REPOSITORY}/resolve/{commit}/README.md"] = moved
    server.paths["/moved/README.md"] = Served(FILES["README.md"], token=TOKEN)

    assert names(fetch(include=["*.md"])) == {"README.md"}
