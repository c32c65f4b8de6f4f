"""An engine for whole clips hears one that arrives at its pauses, and loses nothing of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio import Audio
from agent.engines.at_pauses import AtPauses
from agent.engines.base import Transcript

RATE = 16_000
PIECE_S = 0.1


def speech(seconds: float, amplitude: float = 0.1) -> list[Audio]:
    """Noise, in pieces."""
    samples = np.random.default_rng(7).normal(0, amplitude, round(seconds * RATE)).clip(-1, 1).astype(np.float32)
    return [Audio(samples[start : start + RATE // 10], RATE) for start in range(0, len(samples), RATE // 10)]


def pause(seconds: float) -> list[Audio]:
    return [Audio(np.zeros(RATE // 10, np.float32), RATE)] * round(seconds / PIECE_S)


class Ear:
    """Says how many seconds it was given, each time."""

    def __init__(self):
        self.heard: list[float] = []

    def __call__(self, audio):
        self.heard.append(round(audio.duration_s, 1))
        return Transcript(str(self.heard[-1]))


@pytest.mark.parametrize(
    ("clip", "while_arriving", "text"),
    [
        ([*speech(1), *pause(0.8)], [1.3], "1.3"),
        ([*speech(1), *pause(0.2)], [], "1.2"),
        ([*pause(1), *speech(1), *pause(0.4), *speech(1)], [2.3], "3.4"),
        ([*speech(1), *pause(0.4), *speech(1), *pause(5)], [1.3, 2.7], "2.7"),
        ([*speech(1), *pause(0.4), *speech(0.3, 0.01)], [1.3], "1.7"),  # however softly it goes on
        ([*speech(15), *pause(1)], [], "16.0"),
        (pause(3), [], "3.0"),
    ],
)
def test_it_is_heard_at_pauses_and_once_more_where_it_went_on(clip, while_arriving, text):
    ear = Ear()
    listening = AtPauses(ear)
    for piece in clip:
        listening.feed(piece)
    assert ear.heard == while_arriving
    assert listening.finish().text == text


@given(st.lists(st.tuples(st.sampled_from([speech, pause]), st.integers(0, 20))))
def test_no_speech_is_left_out(parts):
    ear = Ear()
    listening = AtPauses(ear)
    clip = [piece for kind, tenths in parts for piece in kind(tenths / 10)]
    for piece in clip:
        listening.feed(piece)
    heard_s = float(listening.finish().text or 0)
    rest = clip[round(heard_s / PIECE_S) :]
    assert not any(piece.samples.any() for piece in rest)
