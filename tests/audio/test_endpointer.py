"""The end of speech: found soon after the last word, not before it, and never where nobody speaks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from agent.audio import Audio
from agent.audio.endpointer import Endpointer
from agent.engines.tts_espeak import Espeak, EspeakOptions
from agent.engines.tts_flite import Flite, FliteOptions
from tests.wav_files import silence, sine

RATE = 16_000
SENTENCE = "Turn on the kitchen lights, please."
VOICES = ("flite slt", "flite kal", "espeak en-us", "espeak en+whisper")

embedded = pytest.mark.embedded

Sound = npt.NDArray[np.float64]


class Found(NamedTuple):
    """What an endpointer made of a clip."""

    heard_speech: bool
    end_s: float | None


def listen(sound: Sound, *, rate: int = RATE, end_silence_ms: int = 800, piece_s: float = 0.1) -> Found:
    endpointer = Endpointer(rate, end_silence_ms=end_silence_ms)
    piece = round(rate * piece_s)
    for start in range(0, len(sound), piece):
        if endpointer.feed(Audio(sound[start : start + piece].astype(np.float32), rate)):
            return Found(endpointer.heard_speech, min(start + piece, len(sound)) / rate)
    return Found(endpointer.heard_speech, None)


def hiss(dbfs: float, seconds: float, rate: int = RATE) -> Sound:
    return np.random.default_rng(7).normal(0, 10 ** (dbfs / 20), round(rate * seconds))


def hum(seconds: float, *, level: float = 0.2) -> Sound:
    return sum((sine(hz=hz, seconds=seconds, level=level / hz * 50) for hz in (50, 100, 150)), silence(seconds=seconds))


def burst(ms: float) -> Sound:
    length = round(RATE * ms / 1_000)
    return 0.5 * np.random.default_rng(7).normal(0, 0.5, length) * np.exp(-np.arange(length) / length)


def among(background: Sound, sounds: dict[float, Sound]) -> Sound:
    """`background` with each of `sounds` at its second."""
    mixed = background.copy()
    for at, sound in sounds.items():
        start = round(RATE * at)
        mixed[start : start + len(sound)] += sound
    return mixed


@cache
def said(voice: str, text: str, rate: int = RATE) -> Sound:
    """`text` as it sounds, at half of full scale, without the silence around it."""
    library, _, name = voice.partition(" ")
    if library == "flite":
        options = FliteOptions.model_validate({"voice": name})
        if reason := Flite.missing(options, Path()):
            pytest.skip(reason)
        audio = Flite(options, Path()).synthesize(text, voice=None, speed=1.0, cancelled=lambda: False)
    else:
        espeak = Espeak(EspeakOptions(voice="en-us"), Path())
        audio = espeak.synthesize(text, voice=name, speed=1.0, cancelled=lambda: False)
        espeak.close()
    samples = audio.resampled(rate).samples.astype(np.float64)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    return 0.5 * samples[loud[0] : loud[-1] + 1] / np.abs(samples).max()


def spoken(words: list[Sound], *, before: float = 1.0, between: float = 0.3, after: float = 2.0) -> tuple[Sound, float]:
    """Words with silence around and between them, and when the last one ends [s]."""
    parts = [silence(seconds=before)]
    for word in words:
        parts += [word, silence(seconds=between)]
    parts[-1:] = []
    end = sum(map(len, parts)) / RATE
    return np.concatenate([*parts, silence(seconds=after)]), end


def noises() -> Iterator[tuple[str, Sound]]:
    for dbfs in (-60, -45, -35, -25):
        yield f"hiss at {dbfs} dBFS", hiss(dbfs, 4)
        yield f"hiss at {dbfs} dBFS that stops", np.concatenate((hiss(dbfs, 4), silence(seconds=2)))
    for level in (0.01, 0.05, 0.4):
        yield f"hum of {level}", hum(4, level=level)
        yield f"hum of {level} that stops", np.concatenate((hum(4, level=level), hiss(-60, 2)))
    yield "silence", silence(seconds=4)
    yield "a tone", sine(seconds=4)
    yield "a click", among(hiss(-60, 4), {2: np.array([0.9, -0.9])})
    yield "a cough", among(hiss(-60, 4), {2: burst(80)})
    yield "a cough at once", among(hiss(-60, 4), {0: burst(80)})
    yield "a keyboard", among(hiss(-60, 4), {0.3 + 0.2 * n: burst(10) for n in range(15)})
    yield "nothing", silence(seconds=0)


@pytest.mark.parametrize("sound", [pytest.param(sound, id=name) for name, sound in noises()])
def test_nobody_speaks(sound):
    assert listen(sound) == (False, None)


@embedded
@pytest.mark.parametrize("before", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("floor", [-200, -60, -45, -30])
@pytest.mark.parametrize("voice", VOICES)
def test_the_end_is_found_soon_after_the_last_word(voice, floor, before):
    sound, end = spoken([said(voice, SENTENCE)], before=before)

    found = listen(sound + hiss(floor, len(sound) / RATE))

    assert found.heard_speech
    assert found.end_s is not None
    assert -0.25 <= found.end_s - (end + 0.8) <= 0.35


@embedded
@pytest.mark.parametrize("before", [0.0, 1.0])
@pytest.mark.parametrize("word", ["Yes.", "No.", "Stop."])
@pytest.mark.parametrize("voice", VOICES[:3])
def test_one_word_is_speech(voice, word, before):
    sound, end = spoken([said(voice, word)], before=before)

    found = listen(sound + hiss(-60, len(sound) / RATE))

    assert found.end_s is not None
    assert -0.25 <= found.end_s - (end + 0.8) <= 0.35


@embedded
@pytest.mark.parametrize("voice", VOICES)
def test_a_pause_between_words_is_no_end(voice):
    words = [said(voice, word) for word in ("Turn on", "the lights", "in the kitchen", "please")]
    sound, end = spoken(words, between=0.3)

    found = listen(sound + hiss(-60, len(sound) / RATE))

    assert found.end_s is not None
    assert found.end_s > end


@embedded
def test_the_silence_is_as_long_as_was_asked_for():
    sound, end = spoken([said(VOICES[0], SENTENCE)])

    ends = [listen(sound, end_silence_ms=ms, piece_s=0.02).end_s for ms in (300, 500, 1_500)]

    assert np.diff(np.array(ends, dtype=float)).tolist() == pytest.approx([0.2, 1.0], abs=0.021)
    assert ends[0] == pytest.approx(end + 0.3, abs=0.15)


@embedded
def test_with_0_it_never_ends():
    sound, _ = spoken([said(VOICES[0], SENTENCE)])

    assert listen(sound, end_silence_ms=0) == (True, None)


@embedded
def test_a_click_does_not_put_the_end_off():
    sound, end = spoken([said(VOICES[0], SENTENCE)])

    with_clicks = among(sound, {end + 0.4: burst(10), end + 0.7: burst(10)})

    assert listen(with_clicks) == listen(sound)


@embedded
@pytest.mark.parametrize("background", [hiss(-30, 8), hum(8, level=0.1)], ids=["fan", "hum"])
def test_it_ends_in_a_noisy_room(background):
    speech, end = spoken([said(VOICES[0], SENTENCE)])

    found = listen(speech + background[: len(speech)])

    assert found.end_s == pytest.approx(end + 0.8, abs=0.35)


@embedded
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_at_any_rate(rate):
    speech = said(VOICES[0], SENTENCE, rate)
    sound = np.concatenate((silence(rate, seconds=1), speech, silence(rate, seconds=2)))

    found = listen(sound + hiss(-60, len(sound) / rate, rate), rate=rate)

    assert found.end_s == pytest.approx(1 + len(speech) / rate + 0.8, abs=0.3)


@embedded
@pytest.mark.parametrize("piece_s", [0.001, 0.013, 1.0])
def test_the_size_of_the_pieces_does_not_matter(piece_s):
    sound, _ = spoken([said(VOICES[0], SENTENCE)])
    usual = listen(sound).end_s
    assert usual is not None

    assert listen(sound, piece_s=piece_s).end_s == pytest.approx(usual, abs=piece_s + 0.1)


@pytest.mark.once
def test_the_detector_is_loaded_only_when_it_is_needed():
    program = "import sys, agent.audio.endpointer; sys.exit('webrtcvad' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
