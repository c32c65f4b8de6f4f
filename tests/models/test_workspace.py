"""What a killed program leaves behind stands in nobody's way."""

import zipfile

import pytest

from agent.models.archive import unpack
from agent.models.workspace import Workspace, remove


def test_what_was_left_of_a_replaced_model_goes(tmp_path):
    """As after a kill between moving the old model away and deleting it."""
    with Workspace("mine", tmp_path) as workspace:
        (workspace.downloads / "mine").mkdir()
        (workspace.downloads / "mine" / "old").write_text("old")
    (tmp_path / "mine").mkdir()

    assert remove("mine", tmp_path) == tmp_path / "mine"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_stream_is_a_bad_archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model", "word " * 10_000)
        start = archive.getinfo("model").header_offset + 30 + len("model")
    damaged = bytearray(path.read_bytes())
    damaged[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(damaged)

    with zipfile.ZipFile(path) as archive, pytest.raises(zipfile.BadZipFile):
        unpack(archive, "model", tmp_path / "model")
