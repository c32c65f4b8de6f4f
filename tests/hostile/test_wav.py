"""Every file of the corpus has its one outcome, in the decoder and over each way in, and takes no memory for it."""

import numpy as np
import pytest

from agent.audio import decode_wav
from agent.contract.limits import Limits
from agent.errors import AudioError
from agent.pipeline.stages import _audible
from agent.stack import Part
from benchmarks.process_memory import Memory
from tests.callers import spoken
from tests.hostile.wav_corpus import CORPUS, HEARD

pytestmark = pytest.mark.once

GROWTH_MIB = 100


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(CORPUS) >= 75


@pytest.mark.parametrize("name", CORPUS)
def test_each_file_has_its_outcome(name):
    file, code, reason = CORPUS[name]
    if code is HEARD:
        audio = decode_wav(file, max_s=Limits().max_audio_s)
        assert np.isfinite(audio.samples).all()
        assert np.abs(audio.samples).max() <= 1
        assert not audio.is_silent
        return
    with pytest.raises(AudioError) as refused:
        _audible(file, Limits().max_audio_s)
    assert (refused.value.code.value, refused.value.reason) == (code, reason)


def test_each_file_has_its_outcome_over_each_way_in(stack, caller):
    memory = Memory.watching(pid := stack.pid(Part.AGENT))
    for name, (file, code, reason) in CORPUS.items():
        if not file:
            continue  # no audio at all is another error: nothing is asked
        reply = caller.ask(audio=spoken(file))
        if code is HEARD:
            assert reply["status"] == "ok", (name, reply)
            continue
        assert reply["status"] == "error", name
        assert (reply["error"]["code"], reply["error"].get("reason")) == (code, reason), name
        assert "llm" not in reply.get("timings_ms", {}), name
    memory = memory.looked_at(pid)
    assert memory.peak_mib - memory.before_mib < GROWTH_MIB
