"""Coqui through a real host and worker, with tiny voices that speak noise."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.engines import registry
from agent.engines.coqui_choices import choose_device, choose_language, name_speakers
from agent.engines.host import host_for
from agent.engines.settings import EngineSettings
from agent.engines.tts_coqui import Coqui, CoquiOptions
from agent.errors import EngineError
from tests.coqui_model import RATE_HZ, write_voices

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.engines,
    pytest.mark.skipif(find_spec("TTS") is None, reason="coqui-tts is not installed"),
]

VOICE = "tts_models/en/ljspeech/vits"
STORED = "tts_models--en--ljspeech--vits"
PAUSE_S = 0.2


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_voices(folder)
    return folder


@asynccontextmanager
async def speaking(models_dir, **options):
    host = host_for(Stage.TTS, EngineSettings(name="coqui", options=options), models_dir, on_change=lambda: None)
    try:
        await host.start()
        yield host
    finally:
        await host.close()


@pytest.fixture(scope="module")
async def tts(models_dir):
    """The default voice, found by its name; the same noise for the same text."""
    async with speaking(models_dir, device="cpu", seed=7) as host:
        yield host


@pytest.fixture(scope="module")
async def choir(models_dir):
    """A few speakers, found by the path of their model."""
    async with speaking(models_dir, model=str(models_dir / "choir" / "model_file.pth"), speaker="bert", seed=7) as host:
        yield host


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without voices."""
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "tts home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def refusal(folder, **options):
    """Why `coqui` is not even tried with what is in `folder`."""
    with pytest.raises(EngineError) as caught:
        registry.choose(Stage.TTS, "coqui", options, folder)
    assert caught.value.message.isprintable()
    return caught.value.message


async def say(host, text, *, voice=None, speed=1.0):
    return await host.synthesize(text, voice=voice, speed=speed)


def ticks(process):
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_it_speaks_as_long_as_its_text(tts):
    short = await say(tts, "Good morning.")
    long = await say(tts, "Good morning to you and to all of them over there.")
    assert short.sample_rate == tts.info.sample_rate == RATE_HZ
    assert short.samples.dtype == np.float32
    assert 0.01 < np.abs(short.samples).max() <= 1
    assert short.samples[-1] != 0, "Coqui's own silence is not cut off"
    assert 0 < 2 * short.duration_s < long.duration_s


async def test_it_says_what_it_is(tts):
    assert tts.info.label == f"coqui/{VOICE}"
    assert tts.info.version
    assert tts.info.languages == ("en-us",)
    assert tts.info.voices == (VOICE,)
    assert tts.info.device == "cpu"


async def test_a_seed_makes_it_repeat_itself(tts):
    first, second = [await say(tts, "Say that again.") for _ in range(2)]
    assert np.array_equal(first.samples, second.samples)


async def test_speed_is_for_one_call(tts):
    before = await say(tts, "As fast as you like it to be.")
    fast = await say(tts, "As fast as you like it to be.", speed=2.0)
    slow = await say(tts, "As fast as you like it to be.", speed=0.5)
    after = await say(tts, "As fast as you like it to be.")
    assert 1.5 * fast.duration_s < before.duration_s < slow.duration_s / 1.5
    assert np.array_equal(before.samples, after.samples)


async def test_sentences_are_spoken_one_by_one_with_a_pause(tts):
    one, other, both = [
        await say(tts, text) for text in ("It rains.", "Stay at home.", "It rains. Stay at home. \N{GRINNING FACE}")
    ]
    assert len(both.samples) == len(one.samples) + len(other.samples) + round(PAUSE_S * RATE_HZ)
    pause = both.samples[len(one.samples) : -len(other.samples)]
    assert not pause.any()


async def test_a_text_without_stops_is_spoken_in_pieces(tts):
    once, often = await say(tts, "word " * 30), await say(tts, "word " * 120)
    assert often.duration_s > 3 * once.duration_s
    assert (await say(tts, "x" * 700)).duration_s > once.duration_s


async def test_a_cancel_ends_it_between_two_sentences(tts):
    process = tts.pid
    # Far more work than a cancelled call may take: a worker that did not look up would be killed for it.
    speech = asyncio.create_task(say(tts, f"This goes on {'and on ' * 20}until somebody has had enough. " * 200))
    idle = ticks(process)
    while ticks(process) < idle + 20:  # nothing else tells that the worker is in the middle of it
        await asyncio.sleep(0.01)
    speech.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speech
    assert (await say(tts, "What else?")).duration_s > 0
    assert tts.pid == process
    assert tts.state.restarts == 0


@pytest.mark.parametrize("text", ["", " \n", "...", "?!", "\N{GRINNING FACE}", "日本語", "<br>", "\0"])
async def test_nothing_to_say_is_an_error(tts, text):
    with pytest.raises(EngineError, match="nothing in the text") as caught:
        await say(tts, text)
    assert caught.value.reason == "unsayable"
    assert not caught.value.retriable


@pytest.mark.parametrize("text", ["日本語 and so on.", "caf\u00e9", "7", "\N{GRINNING FACE} Hi. 日本語."])
async def test_what_it_cannot_say_is_passed_over(tts, text):
    assert (await say(tts, text)).duration_s > 0


async def test_its_only_voice_is_its_name(tts):
    assert (await say(tts, "Hello.", voice=VOICE)).duration_s > 0
    with pytest.raises(EngineError, match=f"no voice 'anna'; it has {VOICE}") as caught:
        await say(tts, "Hello.", voice="anna")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_request_chooses_the_speaker(choir):
    assert choir.info.model == "choir"
    assert choir.info.voices == ("bert", "anna", "cleo", "numberless")
    bert, anna, cleo, whoever = [
        (await say(choir, "Who is there?", voice=voice)).samples for voice in ("bert", "anna", "cleo", None)
    ]
    assert np.array_equal(bert, whoever)
    assert not np.array_equal(bert, anna)
    assert not np.array_equal(anna, cleo)
    with pytest.raises(EngineError, match="no voice 'dora'; it has bert, anna, cleo, numberless") as caught:
        await say(choir, "Who is there?", voice="dora")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_voice_that_spells_with_espeak(hosted):
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    tts = await hosted(Stage.TTS, "coqui", model="spelled")
    assert (await say(tts, "Though it was tough, 42 went through.")).duration_s > 0
    with pytest.raises(EngineError, match="nothing in the text"):
        await say(tts, "\N{GRINNING FACE}")


async def test_a_broken_voice_is_an_error_not_a_noise(choir):
    with pytest.raises(EngineError, match="not-a-numbers") as caught:
        await say(choir, "Hello.", voice="numberless")
    assert caught.value.code is ErrorCode.TTS_FAILED


async def test_a_model_of_something_else_is_refused_in_one_line(hosted, models_dir, tmp_path):
    shutil.copy(models_dir / "coqui-ljspeech-vits" / "config.json", tmp_path)
    shutil.copy(models_dir / "spelled" / "model_file.pth", tmp_path)
    with pytest.raises(EngineError, match=f"coqui cannot load the voice {tmp_path}: RuntimeError") as caught:
        await hosted(Stage.TTS, "coqui", model=str(tmp_path))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    ("wanted", "gpus", "found"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0"), ("cuda:1", 2, "cuda:1")],
)
def test_it_takes_the_gpu_where_there_is_one(wanted, gpus, found):
    assert choose_device(wanted, gpus) == found


def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(EngineError, match=r"^coqui cannot load: torch sees 1 GPU, so there is no cuda:1"):
        choose_device("cuda:1", 1)


def test_a_voice_is_looked_for_and_never_fetched(nowhere):
    message = refusal(nowhere / "models")
    for place in (
        nowhere / "models" / STORED,
        nowhere / "models" / "coqui-ljspeech-vits",
        nowhere / "tts home" / "tts" / STORED,
        nowhere / "data" / "tts" / STORED,
        nowhere / ".local" / "share" / "tts" / STORED,
    ):
        assert str(place) in message
    assert "edgevoice models pull coqui-ljspeech-vits" in message
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("home", ["models", "tts home/tts", "data/tts", ".local/share/tts"])
def test_coquis_own_cache_is_looked_into(nowhere, models_dir, home):
    shutil.copytree(models_dir / "coqui-ljspeech-vits", nowhere / home / STORED)
    assert registry.choose(Stage.TTS, "coqui", {}, nowhere / "models")[0] == "coqui"
    file = nowhere / home / STORED / "model_file.pth"
    assert Coqui.needs_bytes(CoquiOptions(), nowhere / "models") > file.stat().st_size + 500 * 2**20


def cut(folder):
    path = folder / "model_file.pth"
    path.write_bytes(path.read_bytes()[:-1_000])


def foreign_zip(folder):
    with zipfile.ZipFile(folder / "model_file.pth", "w") as archive:
        archive.writestr("letter.txt", "Dear all")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "model_file.pth is not complete; fetch it again"),
        (foreign_zip, "model_file.pth is not a model of Coqui's"),
        (lambda folder: (folder / "model_file.pth").write_text("<html>404</html>"), "is not a model of Coqui's"),
        (lambda folder: (folder / "model_file.pth").write_bytes(b""), "is not a model of Coqui's"),
        (lambda folder: (folder / "model_file.pth").unlink(), "has a config.json but no model"),
        (lambda folder: (folder / "config.json").unlink(), "cannot read .*config.json: No such file"),
        (lambda folder: (folder / "config.json").write_text('{"model": '), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "does not describe a voice"),
        (lambda folder: (folder / "config.json").write_text('{"generator_model": "x"}'), "does not describe a voice"),
        (lambda folder: (folder / "model_file.pth").rename(folder / "a.pth") and cut_copy(folder), "has 2 models"),
    ],
)
def test_files_that_are_not_a_voice_are_refused_before_they_are_loaded(models_dir, tmp_path, spoil, words):
    folder = shutil.copytree(models_dir / "coqui-ljspeech-vits", tmp_path / "voice")
    spoil(folder)
    with pytest.raises(EngineError, match=words):
        registry.choose(Stage.TTS, "coqui", {"model": str(folder)}, tmp_path)


def cut_copy(folder):
    shutil.copy(folder / "a.pth", folder / "b.pth")


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("tts_models/multilingual/multi-dataset/xtts_v2", "CPML"),
        ("tts_models/multilingual/multi-dataset/your_tts", "CC BY-NC-ND 4.0"),
        ("tts_models/en/vctk/fast_pitch", "CC BY-NC-ND 4.0"),
        ("coqui-vctk-fast_pitch", "CC BY-NC-ND 4.0"),
        ("tts_models/en/jenny/jenny", "custom"),
        ("tts_models/eng/fairseq/vits", "CC BY-NC 4.0"),
    ],
)
def test_a_licence_that_is_not_free_is_to_be_accepted(nowhere, model, licence):
    message = refusal(nowhere, model=model)
    assert licence in message
    assert "accept_license" in message
    assert "no voice" in refusal(nowhere, model=model, accept_license=True)


def test_a_licence_is_known_by_the_folder_and_by_the_kind_of_model(models_dir, tmp_path):
    yours = tmp_path / "tts_models--multilingual--multi-dataset--your_tts"
    tuned = tmp_path / "tuned"
    for folder in (yours, tuned):
        shutil.copytree(models_dir / "coqui-ljspeech-vits", folder)
    (tuned / "config.json").write_text(json.dumps({"model": "xtts"}))
    assert "CC BY-NC-ND 4.0" in refusal(tmp_path, model=str(yours / "model_file.pth"))
    assert "CPML" in refusal(tmp_path, model=str(tuned))
    for folder in (yours, tuned):
        options = {"model": str(folder), "accept_license": True}
        assert registry.choose(Stage.TTS, "coqui", options, tmp_path)[0] == "coqui"


async def test_a_missing_espeak_is_named_with_its_cure(hosted, tmp_path):
    environment = {"PATH": str(tmp_path)}
    with pytest.raises(EngineError, match=r"spelled needs espeak-ng, .*`apt-get install espeak-ng`"):
        await hosted(Stage.TTS, "coqui", settings={"environment": environment}, model="spelled")


def test_a_speaker_or_language_that_it_has_not():
    assert choose_language(None, ["de", "en-us"]) == "en-us"
    assert choose_language("de", ["de", "en-us"]) == "de"
    assert choose_language(None, ["de", "fr-fr"]) == "de"
    with pytest.raises(EngineError, match=r"^coqui cannot load: the voice speaks en-us, not de"):
        choose_language("de", ["en-us"])
    with pytest.raises(EngineError, match=r"^coqui cannot load: no speaker 'p9'; there are p10, .* and 90 more"):
        name_speakers("p9", [f"p{number}" for number in range(10, 110)])


def test_only_what_is_absent_or_broken_gets_a_stand_in(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("intact = True")
    (tmp_path / "torchcodec.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    program = (
        "import sys; from agent.engines.tts_coqui import load_library; library, torch = load_library();"
        "assert sys.modules['torchaudio'].intact;"
        "assert not hasattr(sys.modules['torchcodec'], '__file__');"
        "print(library.__name__, torch.__name__)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ["PYTHONPATH"]))}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "TTS torch\n", done.stderr
