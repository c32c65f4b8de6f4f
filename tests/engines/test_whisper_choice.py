"""Which whisper model is taken, and what is said where none can be; no library is needed for that."""

import pytest

from agent.contract.terms import Stage
from agent.engines import registry
from agent.engines.stt_whispercpp import WhisperCpp, WhisperCppOptions
from agent.errors import EngineError
from tests.ggml_model import scripted_model


def test_a_model_that_is_missing_is_named_with_every_place_and_what_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.engines.stt_whispercpp.find_spec", lambda _: object())
    with pytest.raises(EngineError) as caught:
        registry.choose(Stage.STT, "whispercpp", {"model": "small"}, tmp_path)
    for place in ("whisper-small/ggml-small.bin", "small/ggml-small.bin", "ggml-small.bin"):
        assert str(tmp_path / place) in caught.value.message
    assert "`edgevoice models pull whisper-small` fetches it" in caught.value.message
    with pytest.raises(EngineError, match=r"whispercpp: no model at /none\.bin$"):
        registry.choose(Stage.STT, "whispercpp", {"model": "/none.bin"}, tmp_path)


def test_a_missing_package_is_named_with_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.engines.stt_whispercpp.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"pywhispercpp is not installed; `pip install 'edgevoice\[whispercpp\]'`"):
        registry.choose(Stage.STT, "whispercpp", {}, tmp_path)


def test_options_that_would_mix_up_clips_are_refused(tmp_path):
    with pytest.raises(EngineError, match="flash_attn goes only with fit_audio_context = false"):
        registry.choose(Stage.STT, "whispercpp", {"flash_attn": True}, tmp_path)


def test_its_need_of_memory_grows_with_the_file(tmp_path):
    assert WhisperCpp.needs_bytes(WhisperCppOptions(), tmp_path) == 0
    path = scripted_model(tmp_path / "ggml-base.en.bin", "hello")
    assert WhisperCpp.needs_bytes(WhisperCppOptions(), tmp_path) > path.stat().st_size + 2**27
