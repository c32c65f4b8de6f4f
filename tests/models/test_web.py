"""A model from a web server: gone on with, taken up again, checked, and there whole or not at all."""

import errno
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections import deque
from hashlib import sha1, sha256
from pathlib import Path

import pytest
from rich.console import Console

from agent.contract.terms import Stage
from agent.models.catalogue import CataloguedModel, Http, HttpFile
from agent.models.errors import PullError, explained
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.models.verify import Presence, faults, presence
from agent.models.workspace import Workspace
from tests.models.web_server import Served

WEIGHTS = bytes(range(256)) * 2_000
SHA1 = sha1(WEIGHTS, usedforsecurity=False).hexdigest()
LOCK = "lock"


@pytest.fixture
def made(server):
    """Makes a model of one file; fields of the file by name."""

    def make(content=WEIGHTS, *, path="/weights.bin", model=None, **fields):
        server.paths.setdefault(path, Served(content))
        fields = {"name": "weights.bin", "url": server.url + path, "bytes": len(content), **fields}
        return CataloguedModel(
            name="tiny",
            summary="for the tests",
            stage=Stage.STT,
            engine="none",
            license="0BSD",
            source=Http(kind="http", files=(HttpFile(**fields),)),
            **(model or {}),
        )

    return make


@pytest.fixture
def fetch(models_dir, said):
    progress = Progress(said.append, Console(file=io.StringIO()))
    return lambda model, **options: pull(model, models_dir, progress, **options)


def left(models_dir):
    return sorted(path.name for path in models_dir.rglob("*") if path.is_file() and path.name != LOCK)


def test_a_model_is_fetched_once_and_recorded(made, fetch, server, models_dir, said):
    model = made(sha256=sha256(WEIGHTS).hexdigest(), sha1=SHA1)

    folder = fetch(model)

    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert left(models_dir) == ["edgevoice.json", "weights.bin"]
    assert [path.name for path in models_dir.iterdir()] == ["tiny"]
    assert "  weights.bin: 100 % of 500 KiB" in said
    assert list(faults(model, models_dir)) == []
    assert fetch(model) == folder
    assert len(server.asked) == 1


def test_a_file_without_a_published_checksum_is_known_by_the_one_it_came_with(made, fetch, models_dir):
    model = made(bytes=None)
    path = fetch(model) / "weights.bin"
    assert not model.has_checksums

    path.write_bytes(WEIGHTS[::-1])

    assert presence(model, models_dir) is Presence.HERE, "as long as it should be: only `verify` reads it"
    assert "sha256 differs" in next(faults(model, models_dir))
    fetch(model, verify=True)
    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("length", [True, False])
def test_a_cut_connection_is_taken_up_where_it_was(made, fetch, server, length):
    server.paths["/weights.bin"] = Served(WEIGHTS, length=length, mishaps=deque([("cut", 100_000)] * 2))

    if length:
        assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS
        asked = server.requests("/weights.bin")
        assert [headers.get("range") for headers in asked] == [None, "bytes=100000-", "bytes=200000-"]
    else:  # nobody can tell that it was cut, but by the checksum
        with pytest.raises(PullError, match="100000 bytes, not 512000"):
            fetch(made())


def test_a_server_that_falls_silent_is_asked_again(made, fetch, server):
    server.paths["/weights.bin"] = Served(WEIGHTS, mishaps=deque([("stall", 100_000), ("status", 503)]))

    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS
    assert [headers.get("range") for headers in server.requests("/weights.bin")] == [None, *["bytes=100000-"] * 2]


def test_a_server_that_stays_ill_is_given_up_and_gone_on_with_later(made, fetch, server, models_dir):
    server.paths["/weights.bin"] = Served(WEIGHTS, mishaps=deque([("cut", 100_000), *[("status", 503)] * 4]))

    with pytest.raises(PullError, match="HTTP 503 Service Unavailable; what has come is kept: run the command again"):
        fetch(made())

    assert presence(made(), models_dir) is Presence.BEGUN
    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS
    assert server.requests("/weights.bin")[-1]["range"] == "bytes=100000-"
    assert [path.name for path in models_dir.iterdir()] == ["tiny"]


@pytest.mark.parametrize("validator", [True, False])
def test_what_came_of_another_version_of_the_file_is_not_gone_on_with(made, fetch, server, validator):
    ill = deque([("cut", 100_000), *[("status", 503)] * 4])
    server.paths["/weights.bin"] = Served(WEIGHTS[::-1], validator=validator, mishaps=ill)
    with pytest.raises(PullError):
        fetch(made())

    server.paths["/weights.bin"] = Served(WEIGHTS, validator=validator)

    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS


def test_a_part_that_is_longer_than_the_file_is_dropped(made, fetch, server):
    server.paths["/weights.bin"] = Served(WEIGHTS, mishaps=deque([("cut", 100_000), *[("status", 503)] * 4]))
    with pytest.raises(PullError):
        fetch(made())

    server.paths["/weights.bin"].mishaps.append(("status", 416))

    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sha256": "0" * 64}, "its sha256 differs; it came from http"),
        ({"sha1": "0" * 40}, "its sha1 differs"),
        ({"bytes": 3}, "512000 bytes as weights.bin, not 3: another file"),
        ({"url": "http://127.0.0.1:1/weights.bin"}, "cannot reach 127.0.0.1:1: .*refused"),
    ],
)
def test_a_failure_says_what_to_do_and_leaves_nothing(made, fetch, models_dir, fields, message):
    with pytest.raises(PullError, match=message) as caught:
        fetch(made(**fields))

    assert "\n" not in str(caught.value)
    assert list(models_dir.iterdir()) == []


def test_without_a_network_it_says_so(made, fetch, monkeypatch):
    def no_name(*_):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)

    with pytest.raises(PullError, match=r"cannot reach models.invalid: .*name resolution; check the network"):
        fetch(made(url="http://models.invalid/weights.bin"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "HTTP 401.*wants to know who asks"),
        (403, "HTTP 403.*does not allow it"),
        (404, "HTTP 404.*the catalogue may be out of date"),
        (410, "HTTP 410.*Gone"),
    ],
)
def test_a_refusal_is_final(made, fetch, server, status, message):
    server.paths["/weights.bin"] = Served(status=status)

    with pytest.raises(PullError, match=message):
        fetch(made())

    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(made, fetch, server, code):
    server.paths["/weights.bin"] = Served(status=code, headers={"Location": "/elsewhere.bin"})
    server.paths["/elsewhere.bin"] = Served(WEIGHTS)

    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("elsewhere", ["file:///etc/hostname", "ftp://127.0.0.1/weights.bin"])
def test_only_the_web_is_asked(made, fetch, server, elsewhere):
    server.paths["/weights.bin"] = Served(status=302, headers={"Location": elsewhere})

    with pytest.raises(PullError, match=r"not allowed|no web address"):
        fetch(made())
    with pytest.raises(ValueError, match="url"):
        made(url=elsewhere)


def test_the_proxy_is_asked(made, fetch, server, monkeypatch):
    server.paths["http://models.invalid/weights.bin"] = Served(WEIGHTS)
    monkeypatch.setenv("http_proxy", server.url)

    assert fetch(made(url="http://models.invalid/weights.bin")).is_dir()
    assert server.asked[0].headers["host"] == "models.invalid"


def test_another_server_stands_in_for_hugging_face(made, fetch, server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/mirror/")
    server.paths["/mirror/a/b"] = Served(WEIGHTS)

    assert (fetch(made(url="https://huggingface.co/a/b")) / "weights.bin").read_bytes() == WEIGHTS


def zipped(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_", "."), text)
    return content.getvalue()


ARCHIVE = {"name": "voice.zip", "unpack": ["*.pth", "config.json"]}


def test_what_is_named_is_taken_out_of_an_archive(made, fetch, models_dir):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("voice/model.pth", "voice/config.json", "voice/readme.md", "../../escaped.pth.txt"):
            archive.writestr(name, name)

    model = made(content.getvalue(), **ARCHIVE)
    folder = fetch(model)

    assert {path.name for path in folder.iterdir()} == {"model.pth", "config.json", "edgevoice.json"}
    assert (folder / "model.pth").read_text() == "voice/model.pth"
    assert left(models_dir) == ["config.json", "edgevoice.json", "model.pth"]
    (folder / "model.pth").write_text("voice/model.ptx")
    assert "sha256 differs" in next(faults(model, models_dir))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(model_pth="x"), "does not hold config.json"),
        (zipped(model_pth="x", config_json="{}")[:-9], "not a whole zip archive"),
        (b"<html>sorry</html>", "not a whole zip archive"),
    ],
)
def test_an_archive_that_is_none_is_refused(made, fetch, models_dir, content, message):
    with pytest.raises(PullError, match=message):
        fetch(made(content, **ARCHIVE))

    assert not (models_dir / "tiny").exists()


def test_two_files_of_one_name_in_an_archive_are_refused(made, fetch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("a/model.pth", "b/model.pth", "config.json"):
            archive.writestr(name, name)

    with pytest.raises(PullError, match="each file once"):
        fetch(made(content.getvalue(), **ARCHIVE))


def test_what_is_no_model_for_its_engine_is_not_kept(made, fetch, models_dir):
    model = made(name="model.gguf").model_copy(update={"engine": "llamacpp"})

    with pytest.raises(PullError, match="is not a GGUF model; the catalogue may be wrong"):
        fetch(model)

    assert list(models_dir.iterdir()) == []


def test_a_disk_without_room_is_told_before(made, fetch, monkeypatch, models_dir):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))

    with pytest.raises(PullError, match=r"tiny needs 16 MiB more in .*, which has 977 KiB free; make room"):
        fetch(made())

    assert list(models_dir.iterdir()) == []


def test_a_disk_that_fills_up_keeps_what_has_come(made, fetch, server, models_dir, monkeypatch):
    class Full(io.FileIO):
        def write(self, block):
            if self.tell() + len(block) > 200_000:
                super().write(block[: 200_000 - self.tell()])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(block)

    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda path, *how, **more: (Full if path.suffix == ".part" else open)(path, *how, **more),
        )
        with pytest.raises(
            PullError, match=r"the disk of .* is full; make room, or set EDGEVOICE_HOME to a larger one"
        ):
            fetch(made())

    assert presence(made(), models_dir) is Presence.BEGUN
    assert (fetch(made()) / "weights.bin").read_bytes() == WEIGHTS
    assert server.requests("/weights.bin")[-1]["range"] == "bytes=200000-"


def test_a_folder_that_cannot_be_written_is_named(models_dir):
    for number in (13, 30):
        assert "cannot be written; give it to this user" in str(explained(OSError(number, "no"), models_dir))


def test_only_one_fetches_a_model_at_a_time(made, fetch, models_dir):
    with Workspace("tiny", models_dir), pytest.raises(PullError, match="another program fetches or removes tiny"):
        fetch(made())

    assert fetch(made()).is_dir()


def test_a_model_that_was_replaced_is_gone(made, fetch, models_dir):
    (models_dir / "tiny" / "old").mkdir(parents=True)
    (models_dir / "tiny" / "weights.bin").write_bytes(b"short")

    folder = fetch(made())

    assert {path.name for path in folder.iterdir()} == {"weights.bin", "edgevoice.json"}
    assert [path.name for path in models_dir.iterdir()] == ["tiny"]


def test_a_terminal_has_a_line_that_is_updated(made, models_dir, said):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)

    pull(made(), models_dir, Progress(said.append, console))

    assert "weights.bin" in shown.getvalue()
    assert "500.0/500.0 KiB" in shown.getvalue()
    assert len(said) == 2


CATALOGUE = """[{"name": "tiny", "summary": "", "stage": "stt", "engine": "none", "license": "0BSD", "source":
    {"kind": "http", "files": [{"name": "weights.bin", "url": "%s/weights.bin"}]}}]"""


@pytest.mark.once
def test_an_interrupted_fetch_goes_on_where_it_was(server, models_dir):
    server.paths["/weights.bin"] = Served(WEIGHTS, mishaps=deque([("stall", 100_000)]))
    models_dir.parent.mkdir()
    (models_dir.parent / "models.json").write_text(CATALOGUE % server.url)
    argv = [sys.executable, "-m", "agent", "models", "pull", "tiny"]
    environment = {**os.environ, "EDGEVOICE_HOME": str(models_dir.parent), "EDGEVOICE_ALLOW_EPHEMERAL": "true"}

    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as fetching:
        assert fetching.stdout
        all(iter(fetching.stdout.readline, b"  weights.bin: 10 % of 500 KiB\n"))
        fetching.send_signal(signal.SIGINT)
        told = fetching.communicate()[0].decode()

    assert fetching.returncode == 130
    assert told.endswith("tiny is not there yet; what has come is kept: run the command again to go on\n")
    server.over.set()
    subprocess.run(argv, env=environment, check=True, capture_output=True)
    assert (models_dir / "tiny" / "weights.bin").read_bytes() == WEIGHTS
    offsets = [headers.get("range") for headers in server.requests("/weights.bin")]
    assert offsets[0] is None
    assert 0 < int(offsets[1].removeprefix("bytes=").rstrip("-")) <= 100_000
