"""A GGUF model is found by name and by path, and told from what llama.cpp would crash on."""

import pytest

from agent.model_files.fault import ModelFault
from agent.model_files.gguf import check_gguf, find_gguf

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
