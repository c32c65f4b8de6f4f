"""A clip is heard while it arrives where an engine can, and as a whole where that comes to nothing."""

from typing import Any, cast

import numpy as np
import pytest

from agent.audio import Audio, encode_wav
from agent.contract.messages import HearingOptions, Request, Sampling
from agent.contract.terms import Stage
from agent.engines.base import Transcript
from agent.errors import AudioError, EngineDied
from agent.pipeline.phrases import Phrases
from agent.pipeline.stages import Stages
from tests.fakes import FakeEngines, FakeSpeechToText
from tests.wav_files import sine

pytestmark = pytest.mark.anyio

RATE = 16_000


def tone(seconds=0.5):
    return Audio(sine(RATE, seconds=seconds).astype(np.float32), RATE)


class FakeListening:
    """Hears a number a piece."""

    def __init__(self, failure=None):
        self.failure = failure
        self.fed: list[float] = []
        self.closed = 0

    def feed(self, audio):
        assert not self.closed
        self.fed.append(audio.duration_s)

    async def finish(self):
        if self.failure:
            raise self.failure
        return Transcript(" ".join(map(str, self.fed)), "en")

    def close(self):
        self.closed += 1


class FakeLiveSpeechToText(FakeSpeechToText):
    """Listens to one clip, or to none."""

    def __init__(self, listening):
        super().__init__()
        self.listening = listening
        self.asked = None

    async def listen(self, *, language, prompt):
        self.asked = (language, prompt)
        return self.listening


def stages(stt):
    return Stages(
        cast("Any", FakeEngines(stt=stt)),
        max_audio_s=5,
        system="",
        sampling=Sampling(max_tokens=64),
        phrases=Phrases(0),
    )


async def heard_by(engine):
    """A clip of two pieces, as `engine` listens to it."""
    hearing = await stages(engine).listen(Request(language="auto", stt=HearingOptions(prompt="Anna")))
    assert hearing
    for seconds in (0.5, 0.25):
        hearing.feed(tone(seconds))
    return hearing


async def test_it_is_heard_while_it_arrives():
    engine = FakeLiveSpeechToText(listening := FakeListening())
    hearing = await heard_by(engine)
    heard = await stages(engine).transcribe(encode_wav(tone()), language=None, hearing=hearing)
    assert (heard.transcript.text, engine.calls) == ("0.5 0.25", 0)
    assert engine.asked == (None, "Anna")
    hearing.close()
    assert listening.closed == 1


async def test_where_the_engine_fails_the_whole_clip_is_heard():
    engine = FakeLiveSpeechToText(listening := FakeListening(EngineDied(Stage.STT, "ended")))
    heard = await stages(engine).transcribe(encode_wav(tone()), language=None, hearing=await heard_by(engine))
    assert (heard.transcript.text, engine.calls) == ("what is it", 1)
    assert listening.closed == 1


async def test_silence_is_silence_whatever_was_heard_in_it():
    engine = FakeLiveSpeechToText(listening := FakeListening())
    silent = encode_wav(Audio(np.zeros(RATE, dtype=np.float32), RATE))
    hearing = await heard_by(engine)
    with pytest.raises(AudioError) as caught:
        await stages(engine).transcribe(silent, language=None, hearing=hearing)
    assert caught.value.reason == "silence"
    hearing.close()
    assert listening.closed == 1


@pytest.mark.parametrize("engine", [None, FakeLiveSpeechToText(None)], ids=["no engine", "one that cannot"])
async def test_nobody_listens(engine):
    assert await stages(engine).listen(Request()) is None
