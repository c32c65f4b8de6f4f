"""whisper.cpp through a real host and worker, with models that the tests write themselves."""

import asyncio
import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.engines.base import Segment
from agent.errors import EngineError
from tests.ggml_model import Shape, scripted_model, vad_model

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.engines,
    pytest.mark.skipif(find_spec("_pywhispercpp") is None, reason="pywhispercpp is not installed"),
]

WORDS = "turn on the kitchen lights"
MULTILINGUAL = Shape(multilingual=True)
LOUD, FAINT = 0.1, 0.003
"""Of noise: as if somebody spoke, and near the edge of silence."""


@pytest.fixture
def models_dir(tmp_path):
    """Where the models of these tests are."""
    return tmp_path


@pytest.fixture
async def whisper(hosted, tmp_path):
    """Starts an engine whose model hears what it is told; the script's options are given as such."""

    async def start(said=WORDS, *, script=None, settings=None, **options):
        path = scripted_model(tmp_path / "scripted.bin", said, **(script or {}))
        return await hosted(Stage.STT, "whispercpp", settings=settings, model=str(path), threads=1, **options)

    return start


def noise(seconds: float, amplitude: float = LOUD, *, sample_rate: int = 16_000) -> Audio:
    samples = np.random.default_rng(7).normal(0, amplitude, round(seconds * sample_rate))
    return Audio(samples.clip(-1, 1).astype(np.float32), sample_rate)


def silence(seconds: float) -> Audio:
    return Audio(np.zeros(round(16_000 * seconds), np.float32), 16_000)


async def hear(stt, clip=None, *, language=None, prompt=""):
    return await stt.transcribe(clip or noise(3), language=language, prompt=prompt)


async def test_it_hears_the_words_and_when_they_were_said(whisper):
    stt = await whisper([("what is the time", 1.5), ("in the city of paris", 3.0)])
    transcript = await hear(stt, noise(4))
    assert transcript.text == "what is the time in the city of paris"
    assert transcript.segments == (Segment("what is the time", 0.0, 1.5), Segment("in the city of paris", 1.5, 3.0))
    assert (transcript.language, transcript.language_probability) == ("en", None)
    assert (await hear(stt, noise(2.5))).segments[-1].end_s == 2.5
    assert stt.info.name == "whispercpp"
    assert stt.info.model == "scripted"
    assert stt.info.languages == ("en",)
    assert stt.info.sample_rate == 16_000
    assert stt.info.device
    assert stt.info.version


async def test_clips_of_any_rate_and_length_are_heard_whole(whisper):
    stt = await whisper()
    for rate in (8_000, 48_000):
        assert (await hear(stt, noise(1, sample_rate=rate))).text == WORDS
    for seconds in (0.01, 0.1, 5, 28):
        transcript = await hear(stt, noise(seconds))
        assert transcript.text == WORDS
        assert transcript.segments == (Segment(WORDS, 0.0, min(2.0, seconds)),)
    long = await hear(stt, noise(65))
    assert [segment.start_s for segment in long.segments] == [0.0, 30.0, 60.0]


async def test_it_says_which_language_it_found_and_how_sure_it_is(whisper):
    stt = await whisper("ja oder nein", script={"shape": MULTILINGUAL, "language": "de"})
    assert stt.info.languages[:3] == ("en", "zh", "de")
    assert len(stt.info.languages) == 99
    found = await hear(stt)
    assert (found.text, found.language) == ("ja oder nein", "de")
    assert 0.9 < found.language_probability < 1
    for asked in ("es", "es-MX", "ES"):
        given = await hear(stt, language=asked)
        assert (given.language, given.language_probability) == ("es", None)
    with pytest.raises(EngineError, match="hears 99 languages, not tlh") as caught:
        await hear(stt, language="tlh")
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert caught.value.field == "language"


async def test_the_language_is_looked_for_as_far_as_the_clip_goes(whisper):
    stt = await whisper("ja", script={"shape": MULTILINGUAL, "language": "de", "language_in_part": "es"})
    for seconds, language in ((3, "es"), (29, "de"), (3, "es"), (29, "de")):
        assert (await hear(stt, noise(seconds))).language == language


async def test_its_own_language_is_for_requests_that_name_none(whisper):
    stt = await whisper("ja oder nein", script={"shape": MULTILINGUAL}, language="es")
    assert (await hear(stt)).language == "es"
    assert (await hear(stt, language="fr")).language == "fr"
    assert (await hear(stt, language="auto")).language == "de"
    with pytest.raises(EngineError, match="hears 99 languages, not tlh"):
        await whisper(script={"shape": MULTILINGUAL}, language="tlh")


async def test_an_english_model_hears_english_only(whisper):
    stt = await whisper()
    for asked in (None, "auto", "en", "en-GB"):
        assert (await hear(stt, language=asked)).language == "en"
    with pytest.raises(EngineError, match="the model scripted hears en, not de") as caught:
        await hear(stt, language="de")
    assert caught.value.code is ErrorCode.BAD_REQUEST


async def test_hints_reach_the_model_its_own_before_those_of_the_request(whisper):
    hinted = {20: "heard its own", 50: "heard the request's", 71: "heard both"}
    stt = await whisper("heard none", script={"hinted": hinted})
    assert (await hear(stt)).text == "heard none"
    assert (await hear(stt, prompt="x" * 50)).text == "heard the request's"
    stt = await whisper("heard none", script={"hinted": hinted}, prompt="x" * 20)
    assert (await hear(stt)).text == "heard its own"
    assert (await hear(stt, prompt="x" * 50)).text == "heard both"
    await hear(stt, prompt="x" * 100_000)
    assert stt.state.restarts == 0


async def test_silence_gives_nothing(whisper):
    stt = await whisper()
    for clip in (silence(3), silence(0), noise(3, 0.0005)):
        assert (await hear(stt, clip)).text == ""
    attentive = await whisper(skip_silence=False)
    assert (await hear(attentive, silence(3))).text == WORDS
    assert (await hear(attentive, silence(0))).text == ""


async def test_a_phantom_is_dropped_where_it_is_nearly_silent(whisper):
    segments = [(WORDS, 1.0), ("Thanks for watching!", 2.0)]
    stt = await whisper(segments)
    transcript = await hear(stt, noise(2, FAINT))
    assert transcript.text == WORDS
    assert [segment.text for segment in transcript.segments] == [WORDS]
    assert (await hear(stt, noise(2))).text == f"{WORDS} Thanks for watching!"
    credulous = await whisper(segments, drop_phantoms=False)
    assert (await hear(credulous, noise(2, FAINT))).text == f"{WORDS} Thanks for watching!"


async def test_a_phantom_is_dropped_where_the_model_finds_that_nobody_speaks(whisper):
    doubtful = {"no_speech": True}
    stt = await whisper("[BLANK_AUDIO]", script=doubtful)
    assert (await hear(stt)).text == ""
    assert (await hear(await whisper(WORDS, script=doubtful))).text == WORDS
    trusting = await whisper("[BLANK_AUDIO]", script=doubtful, no_speech_threshold=1.0)
    assert (await hear(trusting)).text == "[BLANK_AUDIO]"


async def test_a_loop_heard_in_a_part_makes_it_listen_to_the_whole(whisper):
    said = "this is what was really said at last"
    loop = {"in_part": "again and again and again and again and"}
    stt = await whisper(said, script=loop)
    for seconds in (0.5, 3, 15):
        assert (await hear(stt, noise(seconds))).text == said
    harmless = await whisper(said, script={"in_part": "but here comes something else before it all"})
    assert (await hear(harmless)).text == "but here comes something else before it all"
    assert (await hear(harmless, noise(29))).text == said


async def test_fitted_or_not_it_hears_the_same(whisper):
    texts = set()
    for options in ({}, {"fit_audio_context": False}, {"fit_audio_context": False, "flash_attn": True}):
        stt = await whisper(script={"shape": MULTILINGUAL}, **options)
        for seconds in (0.3, 10, 26):
            transcript = await hear(stt, noise(seconds))
            texts.add((transcript.segments[0].text, transcript.language))
    assert texts == {(WORDS, "de")}


async def test_a_cancelled_call_ends_within_a_segment_and_leaves_the_engine_alive(whisper):
    stt = await whisper(
        "round and", script={"endless": True, "hinted": {210: "done"}}, settings={"cancel_grace_s": 5.0}
    )
    pid, at_rest = stt.pid, cpu_s(stt.pid)
    call = asyncio.create_task(hear(stt, noise(125)))
    while cpu_s(pid) < at_rest + 0.7:  # it is in the middle of it
        assert not call.done()
        await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])
    assert (await hear(stt, prompt="x" * 210)).text == "done"
    assert (stt.pid, stt.state.restarts) == (pid, 0)


async def test_speech_is_looked_for_first_where_a_model_for_that_is_given(whisper, tmp_path):
    deaf = await whisper(vad_model=str(vad_model(tmp_path / "deaf.bin", speech=False)))
    assert (await hear(deaf)).text == ""
    alert = await whisper(vad_model=str(vad_model(tmp_path / "alert.bin", speech=True)))
    assert (await hear(alert)).text == WORDS
    with pytest.raises(EngineError, match="is not a Silero VAD model"):
        await whisper(vad_model=str(tmp_path / "scripted.bin"))


async def test_a_model_is_found_by_its_name(hosted, tmp_path):
    for place in ("whisper-tiny.en/ggml-tiny.en.bin", "tiny.en/ggml-tiny.en.bin", "ggml-tiny.en.bin"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        scripted_model(path, WORDS)
        stt = await hosted(Stage.STT, "whispercpp", model="tiny.en")
        assert stt.info.model == "tiny.en"
        assert (await hear(stt)).text == WORDS
        path.unlink()


async def test_files_that_are_no_model_are_refused_before_they_are_loaded(hosted, tmp_path):
    whole = scripted_model(tmp_path / "whole.bin", WORDS).read_bytes()
    wrong = {
        b"": "cut off at 0 bytes",
        b"<html>404</html>": "it begins with b'<htm'",
        whole[:500]: "cut off",
        whole[:-1]: "cut off",
        whole[:8] + b"\xff\xff\xff\x7f" + whole[12:]: "n_audio_ctx 2147483647",
        whole.replace(b"decoder.ln.bias", b"decoder.ln.boas"): "decoder.ln.boas",
    }
    path = tmp_path / "wrong.bin"
    for data, why in wrong.items():
        path.write_bytes(data)
        with pytest.raises(EngineError) as caught:
            await hosted(Stage.STT, "whispercpp", model=str(path))
        assert why in caught.value.message
        assert "its last words" not in caught.value.message  # those of a worker that died


async def test_the_library_says_nothing_of_its_own(whisper, caplog):
    with caplog.at_level(logging.DEBUG, "agent.engines.process"):
        stt = await whisper("ja", script={"shape": MULTILINGUAL})
        for clip in (noise(0.05), noise(3), silence(3)):
            await hear(stt, clip)
    assert not caplog.records


def test_a_program_that_uses_it_ends_in_peace(tmp_path):
    scripted_model(tmp_path / "ggml-base.en.bin", WORDS)
    program = (
        "import numpy as np; from pathlib import Path; from agent.audio import Audio;"
        "from agent.engines.stt_whispercpp import WhisperCpp, WhisperCppOptions;"
        "stt = WhisperCpp(WhisperCppOptions(), Path());"
        "clip = Audio(np.full(16_000, 0.1, np.float32) * np.tile([1, -1], 8_000).astype(np.float32), 16_000);"
        "print(stt.transcribe(clip, language=None, prompt='', cancelled=lambda: False).text)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{WORDS}\n", "")


def test_a_look_that_would_not_end_is_broken_off(tmp_path):
    path = scripted_model(tmp_path / "endless.bin", "round and", endless=True)
    program = (
        "import numpy as np; from pathlib import Path;"
        "from agent.engines.whisper_context import Asked, WhisperContext;"
        f"model = Path({str(path)!r});"
        "context = WhisperContext(model, use_gpu=False, gpu=0, flash_attn=False, threads=1, vad_model=None);"
        "asked = [Asked('en', lambda: False, careful=False, most_tokens=most) for most in (None, 20)];"
        "noise = np.random.default_rng(7).normal(0, 0.1, 48_000).astype(np.float32);"
        "print(*(context.look(noise, each, no_speech_threshold=0.6).broken_off for each in asked))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False True\n", "")


async def test_a_gpu_that_is_not_there_is_an_error_where_it_was_asked_for(whisper):
    if (await whisper()).info.device != "cpu":
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match=r"whisper\.cpp finds no GPU"):
        await whisper(device="gpu")


def cpu_s(pid: int) -> float:
    """What the process has worked so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def test_a_clip_that_arrives_is_understood_at_its_pauses(whisper):
    stt = await whisper(live_sessions=1)
    listening = await stt.listen(language=None, prompt="")
    assert listening
    for _ in range(2):
        listening.feed(noise(1))
        listening.feed(silence(0.5))
    heard = await listening.finish()
    assert heard.text == (await hear(stt, noise(3))).text == WORDS
    assert heard.segments
    strange = await stt.listen(language="tlh", prompt="")
    with pytest.raises(EngineError) as caught:
        await strange.finish()
    assert caught.value.code is ErrorCode.BAD_REQUEST
