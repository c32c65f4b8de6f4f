"""What is said, spoken by a real voice and heard by a real ear, is what was meant."""

from pathlib import Path

import pytest

from agent.engines.stt_pocketsphinx import PocketSphinx, PocketSphinxOptions
from agent.engines.tts_flite import Flite, FliteOptions
from agent.evaluation.words import word_errors
from agent.speech_text import speech_text

pytestmark = [pytest.mark.embedded, pytest.mark.once]

MEANT = {
    "The **speed limit** is 100 km/h.": "the speed limit is one hundred kilometers per hour",
    "It costs $5.20 at the [store](https://example.com).": "it costs five dollars and twenty cents at the store",
    "He ran 5 km in 30 min. 🎉": "he ran five kilometers in thirty minutes",
    "Paris is 20°C today.": "paris is twenty degrees celsius today",
    "`turn_on` the kitchen lights": "turn on the kitchen lights",
    "There are 42 men & 10-20 women.": "there are forty two men and ten to twenty women",
}


def test_what_is_heard_is_what_was_meant(tmp_path: Path):
    if reason := Flite.missing(FliteOptions(), tmp_path):
        pytest.skip(reason)
    voice = Flite(FliteOptions(), tmp_path)
    ear = PocketSphinx(PocketSphinxOptions(), tmp_path)
    errors = 0
    for written, meant in MEANT.items():
        clip = voice.synthesize(speech_text(written), voice=None, speed=1.0, cancelled=lambda: False)
        heard = ear.transcribe(clip, language=None, prompt="", cancelled=lambda: False).text
        errors += word_errors(meant, heard)
    ear.close()

    assert errors <= 4, "of 49 words"
