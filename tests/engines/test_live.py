"""A clip is heard while it arrives, beside whole ones, and given back whatever becomes of it."""

import asyncio
import os
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.engines.piecewise import Piecewise
from agent.errors import EngineDied, EngineError

pytestmark = [pytest.mark.anyio, pytest.mark.once]

FOR_EVER_S = 600.0
PIECE = Audio(np.zeros(1_600, np.float32), 16_000)
SECOND = Audio(np.zeros(16_000, np.float32), 16_000)


async def listen(stt, language=None):
    listening = await stt.listen(language=language, prompt="")
    assert listening
    return listening


async def left(stt, sessions):
    """Returns once no more than so many clips are being heard."""
    while stt.load[1] > sessions:
        await asyncio.sleep(0.01)


async def test_what_is_left_to_do_at_the_end_does_not_depend_on_the_length(hosted):
    stt = await hosted(Stage.STT, text="good morning", pace=FOR_EVER_S)
    listening = await listen(stt)
    for _ in range(30):
        listening.feed(PIECE)
    heard = await listening.finish()
    assert heard.text == "good morning"
    assert stt.state.busy == 0


async def test_whole_clips_have_their_turn_while_others_arrive(hosted):
    stt = await hosted(Stage.STT)
    one, other = await listen(stt), await listen(stt)
    one.feed(SECOND)
    assert (await stt.transcribe(SECOND, language=None, prompt="")).text
    assert stt.state.busy == 2
    other.feed(SECOND)
    assert (await other.finish()).text
    assert (await one.finish()).text


async def test_it_hears_as_many_at_once_as_it_is_told_to(hosted):
    stt = await hosted(Stage.STT, live_sessions=2)
    first, _ = await listen(stt), await listen(stt)
    assert await stt.listen(language=None, prompt="") is None
    first.close()
    first.close()
    await left(stt, 1)
    await listen(stt)


async def test_an_engine_may_hear_whole_clips_only(hosted):
    stt = await hosted(Stage.STT, live_sessions=0)
    assert await stt.listen(language=None, prompt="") is None
    assert (await stt.transcribe(SECOND, language=None, prompt="")).text


async def test_a_clip_that_nobody_wants_waits_for_no_other(hosted):
    stt = await hosted(Stage.STT, pace=FOR_EVER_S)
    whole = asyncio.create_task(stt.transcribe(SECOND, language=None, prompt=""))
    listening = await listen(stt)
    listening.feed(SECOND)
    listening.close()
    await left(stt, 0)  # though the engine is in the middle of the other one
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert stt.state.restarts == 0


async def test_a_caller_who_leaves_at_the_end_frees_the_engine(hosted):
    stt = await hosted(Stage.STT, delay_s=FOR_EVER_S, live_sessions=1)
    listening = await listen(stt)
    listening.feed(SECOND)
    finishing = asyncio.create_task(listening.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    await left(stt, 0)
    assert stt.state.restarts == 0


async def test_a_slow_speaker_is_no_hanging_engine(hosted):
    stt = await hosted(Stage.STT, settings={"hang_timeout_s": 0.2})
    listening = await listen(stt)
    listening.feed(PIECE)
    await asyncio.sleep(0.5)
    assert (await listening.finish()).text
    assert stt.state.restarts == 0


async def test_a_worker_that_dies_is_told_of_at_the_end(hosted):
    stt = await hosted(Stage.STT)
    listening = await listen(stt)
    listening.feed(PIECE)
    os.kill(stt.pid, signal.SIGKILL)
    while stt.state.ready:
        await asyncio.sleep(0.01)
    assert await stt.listen(language=None, prompt="") is None
    listening.feed(PIECE)
    with pytest.raises(EngineDied, match="SIGKILL"):
        await listening.finish()
    listening.close()
    assert (await stt.transcribe(SECOND, language=None, prompt="")).text  # there is another one
    await listen(stt)


@pytest.mark.embedded
async def test_pocketsphinx_hears_silence_stammering_and_what_is_left_of_a_clip(hosted):
    pytest.importorskip("pocketsphinx")
    stt = await hosted(Stage.STT, "pocketsphinx", live_sessions=1)
    for pieces in ([], [PIECE], [SECOND] * 2, [Audio(PIECE.samples[:1], 8_000)] * 3):
        listening = await listen(stt, "en")
        for piece in pieces:
            listening.feed(piece)
        assert (await listening.finish()).text == ""
    broken_off = await listen(stt)
    broken_off.feed(SECOND)
    broken_off.feed(SECOND)
    broken_off.close()
    await left(stt, 0)
    await stt.transcribe(SECOND, language=None, prompt="")
    strange = await listen(stt, "de")
    strange.feed(SECOND)
    with pytest.raises(EngineError, match="English") as caught:
        await strange.finish()
    assert caught.value.code is ErrorCode.BAD_REQUEST
    await listen(stt)


@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 5_000), max_size=8),
    seed=st.integers(0, 99),
)
def test_pieces_at_another_rate_are_one_clip(rate, cuts, seed):
    samples = np.random.default_rng(seed).normal(0, 0.3, 5_000).astype(np.float32).clip(-1, 1)
    clip = Piecewise(16_000)
    got = [clip.take(Audio(piece, rate)) for piece in np.split(samples, sorted(cuts))]
    joined = np.concatenate([piece.samples for piece in (*got, clip.rest())])
    assert np.allclose(joined, Audio(samples, rate).resampled(16_000).samples, atol=1e-6)
