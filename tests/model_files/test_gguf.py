"""A GGUF model is found by name and by path, and told from what llama.cpp would crash on."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model_files.fault import ModelFault
from agent.model_files.gguf import check_gguf, find_gguf
from agent.model_files.gguf_walk import check_header

WHOLE = b"GGUF".ljust(5_000)


def test_a_model_by_name_and_by_path(tmp_path):
    path = tmp_path / "tiny" / "model.gguf"
    with pytest.raises(ModelFault, match=f"no model at {path}; `edgevoice models pull tiny` fetches it"):
        find_gguf("tiny", tmp_path)
    with pytest.raises(ModelFault, match=f"no file {path}$"):
        find_gguf(str(path), tmp_path)
    path.parent.mkdir()
    path.write_bytes(WHOLE)
    assert find_gguf("tiny", tmp_path) == find_gguf(str(path), tmp_path / "elsewhere") == path
    check_gguf(path)


@pytest.mark.parametrize("content", [b"", b"GGUF", WHOLE[:4_095], WHOLE.replace(b"GGUF", b"<htm")])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFault, match=f"{path} is not a GGUF model; fetch it again"):
        check_gguf(path)


def test_one_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ModelFault, match=f"cannot read {tmp_path}: Is a directory"):
        check_gguf(tmp_path)


def text(word):
    return struct.pack("<Q", len(word)) + word


def header(*values, tensors=(), version=3):
    """A file's beginning; each value as its kind and its bytes."""
    metadata = b"".join(text(b"name") + struct.pack("<I", kind) + data for kind, data in values)
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + metadata + b"".join(tensors)


WORDS = struct.pack("<IQ", 8, 2) + text(b"one") + text(b"two")
TENSOR = text(b"t") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)


def test_a_header_is_read_to_its_end(tmp_path):
    path = tmp_path / "model.gguf"
    whole = header(
        (8, text(b"llama")), (4, bytes(4)), (9, WORDS), (9, struct.pack("<IQ", 6, 3) + bytes(12)), tensors=[TENSOR]
    )
    path.write_bytes(whole)
    check_header(path)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelFault):
            check_header(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (header((9, struct.pack("<IQ", 4, 2**62))), "cut off"),
        (header((9, struct.pack("<IQ", 8, 2**62))), "cut off"),
        (header((9, struct.pack("<IQIQ", 9, 1, 4, 0))), "a list of lists"),
        (header((77, b"")), "of kind 77"),
        (header(version=3 << 24), "other byte order"),
        (header(tensors=[text(b"t") + struct.pack("<I", 2**31)]), "2147483648 dimensions"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**63), "cut off"),
    ],
)
def test_counts_that_cannot_be_are_refused(tmp_path, content, why):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFault, match=why):
        check_header(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_none(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 3) + content)
    try:
        check_header(path)
    except ModelFault as exc:
        assert str(path) in str(exc)  # noqa: PT017 - either will do
