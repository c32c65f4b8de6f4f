"""A whole model file is told from everything else before a library sees it."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model_files.fault import ModelFault
from agent.model_files.ggml import check_vad, check_whisper
from tests.ggml_model import FULL_SIZE, Shape, random_model, scripted_model, vad_model

pytestmark = pytest.mark.once

MAGIC = b"lmgg"
HEADER_FIELDS = 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ggml")


@pytest.fixture(scope="module")
def whisper(folder):
    """The bytes of a whole model."""
    return scripted_model(folder / "whole.bin", "turn on the kitchen lights").read_bytes()


@pytest.fixture(scope="module")
def refused(folder):
    """Says why bytes are refused; fails where they are not."""
    path = folder / "other.bin"

    def refuse(data: bytes, check=check_whisper) -> str:
        path.write_bytes(data)
        with pytest.raises(ModelFault) as caught:
            check(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.mark.parametrize(("multilingual", "languages"), [(False, 1), (True, 99)])
def test_a_whole_model_says_how_many_languages_it_hears(tmp_path, multilingual, languages):
    shape = Shape(audio_layers=3, text_layers=2, multilingual=multilingual)
    model = check_whisper(random_model(tmp_path / "model.bin", shape))
    assert model.language_count == languages


def test_a_model_of_a_real_size_passes(tmp_path):
    assert check_whisper(random_model(tmp_path / "tiny.bin", FULL_SIZE["tiny.en"])).language_count == 1


@given(data=st.data())
def test_one_that_is_cut_anywhere_is_refused(whisper, refused, data):
    refused(whisper[: data.draw(st.integers(0, len(whisper) - 1))])


@given(field=st.integers(0, HEADER_FIELDS - 1), value=st.integers(-(2**31), 2**31 - 1) | st.integers(0, 100))
def test_one_whose_header_says_anything_else_is_refused(whisper, refused, field, value):
    at = len(MAGIC) + 4 * field
    if whisper[at : at + 4] != struct.pack("<i", value):
        refused(whisper[:at] + struct.pack("<i", value) + whisper[at + 4 :])


@given(at=st.integers(0, 200_000), mask=st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_harmless(whisper, folder, at, mask):
    flipped = bytearray(whisper)
    flipped[at] ^= mask
    path = folder / "flipped.bin"
    path.write_bytes(flipped)
    with suppress(ModelFault):
        check_whisper(path)


@given(st.binary(max_size=4_096))
def test_random_bytes_are_refused(refused, data):
    for check in (check_whisper, check_vad):
        refused(data, check)
        refused(MAGIC + data, check)


@given(data=st.binary(max_size=4_096))
def test_random_bytes_behind_a_good_header_are_refused(whisper, refused, data):
    refused(whisper[: len(MAGIC) + 4 * HEADER_FIELDS] + data)


def test_what_is_wrong_is_said(whisper, refused, tmp_path):
    assert "is not a whisper model: it begins with b'<htm'; fetch it again" in refused(b"<html>Not found</html>")
    assert "it is cut off at 0 bytes" in refused(b"")
    assert "it is cut off at" in refused(whisper[:-1])
    assert "it has 49 of 50 tensors" in refused(whisper[: whisper.index(b"decoder.ln.bias") - 16])
    assert "its header says n_audio_layer 0" in refused(whisper[:20] + bytes(4) + whisper[24:])
    assert "its tokens lack the blank" in refused(whisper.replace(struct.pack("<i", 1) + b" ", b"\1\0\0\0!", 1))
    assert "or comes twice" in refused(whisper.replace(b"decoder.ln.bias", b"decoder.ln.biaz", 1))
    refused(whisper + b"\0")
    with pytest.raises(ModelFault, match=r"cannot read .*: No such file"):
        check_whisper(tmp_path / "nothing.bin")
    with pytest.raises(ModelFault, match=r"cannot read .*: Is a directory"):
        check_whisper(tmp_path)


def test_a_voice_activity_model_is_told_from_others(tmp_path, whisper, refused):
    path = vad_model(tmp_path / "vad.bin", speech=True)
    check_vad(path)
    whole = path.read_bytes()
    assert "is not a Silero VAD model" in refused(whisper, check_vad)
    assert "is not a whisper model" in refused(whole)
    for end in (len(whole) - 1, len(whole) // 2, 40, 5, 0):
        refused(whole[:end], check_vad)
    refused(whole.replace(b"silero", b"golden"), check_vad)
