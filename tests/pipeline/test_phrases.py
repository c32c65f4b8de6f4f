"""Sentences that come again are not made again, within bounds."""

import numpy as np

from agent.audio import Audio
from agent.pipeline.phrases import Phrase, Phrases

SECOND = Audio(np.zeros(16_000, np.float32), 16_000)
SECOND_BYTES = 64_000


def phrase(text, **other):
    return Phrase(**{"engine": "flite/slt", "voice": None, "speed": 1.0, "text": text, **other})


def test_the_same_words_in_the_same_voice_are_found():
    phrases = Phrases(10 * SECOND_BYTES)
    phrases.remember(phrase("Hello."), SECOND)
    assert phrases.find(phrase("Hello.")) is SECOND
    for other in (phrase("Hello."[:-1]), phrase("Hello.", voice="rms"), phrase("Hello.", speed=1.5)):
        assert phrases.find(other) is None


def test_the_least_recently_said_are_forgotten():
    phrases = Phrases(4 * SECOND_BYTES)
    for text in "abcd":
        phrases.remember(phrase(text), SECOND)
    assert phrases.find(phrase("a"))
    phrases.remember(phrase("e"), SECOND)
    assert [text for text in "abcde" if phrases.find(phrase(text))] == ["a", "c", "d", "e"]


def test_one_long_speech_does_not_push_out_the_others_and_none_may_be_kept():
    phrases = Phrases(3 * SECOND_BYTES)
    phrases.remember(phrase("long"), SECOND)
    nothing = Phrases(0)
    nothing.remember(phrase("a"), SECOND)
    assert phrases.find(phrase("long")) is None
    assert nothing.find(phrase("a")) is None
