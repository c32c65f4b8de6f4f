"""Several processes of one engine share its work, and none of them is missed when it dies."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack

import numpy as np
import pytest
from pydantic import ValidationError

from agent.audio import Audio
from agent.contract.terms import Stage
from agent.engines.budget import MemoryBudget
from agent.engines.host import EngineHost, SpeechToTextHost
from agent.engines.opening import Opener
from agent.engines.pool import SpeechToTextPool, TextToSpeechPool
from agent.engines.settings import EngineSettings, LanguageModelSettings, MemorySettings

pytestmark = [pytest.mark.anyio, pytest.mark.once]

FOR_EVER_S = 600.0
MIB = 2**20
CLIP = Audio(np.zeros(1_600, dtype=np.float32), 16_000)


@pytest.fixture
async def opened(models_dir):
    """Opens an engine for speech in so many processes; `available` is the memory before each, at first."""
    async with AsyncExitStack() as engines:

        async def start(stage, workers, name="scripted", /, *, available=(), **options):
            before = iter(available)
            budget = MemoryBudget(MemorySettings(reserve_bytes=MIB), available=lambda: next(before, 1_000 * MIB))
            opener = Opener(models_dir, budget, on_change=lambda: None)
            engine = await opener.open_speech(stage, EngineSettings(name=name, workers=workers, options=options))
            engines.push_async_callback(engine.close)
            return engine

        yield start


@pytest.fixture
async def hosts(hosted):
    """Two hosts of an engine that takes for ever."""
    return [await hosted(Stage.STT, pace=FOR_EVER_S, live_sessions=1) for _ in range(2)]


def ask(stt, clip=CLIP):
    return asyncio.create_task(stt.transcribe(clip, language=None, prompt=""))


async def until_busy(stt, calls):
    while stt.state.busy != calls:
        await asyncio.sleep(0.01)


async def cancel(*tasks):
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_calls_at_once_go_to_different_processes(hosts):
    stt = SpeechToTextPool(hosts)
    first, second, third = (ask(stt) for _ in range(3))
    await until_busy(stt, 2)
    assert [host.state.busy for host in hosts] == [1, 1]
    await cancel(second)
    await until_busy(stt, 2)  # with the third
    await cancel(first, third)
    await until_busy(stt, 0)
    assert stt.state.restarts == 0


async def test_a_process_that_dies_does_not_stop_the_others(hosts):
    stt = SpeechToTextPool(hosts)
    os.kill(hosts[0].pid, signal.SIGKILL)
    while hosts[0].state.ready:
        await asyncio.sleep(0.01)
    assert stt.state.ready
    await stt.transcribe(Audio(CLIP.samples[:0], 16_000), language=None, prompt="")
    while not hosts[0].state.ready:
        await asyncio.sleep(0.01)
    assert stt.state.restarts == 1
    assert stt.state.memory_bytes == sum(host.state.memory_bytes for host in hosts)


async def test_clips_that_arrive_are_spread_too(hosts):
    stt = SpeechToTextPool(hosts)
    listening = [await stt.listen(language=None, prompt="") for _ in range(3)]
    assert listening[2] is None
    assert [host.state.busy for host in hosts] == [1, 1]
    for each in filter(None, listening):
        assert (await each.finish()).text


async def test_it_is_opened_in_as_many_processes_as_are_wanted(opened):
    tts = await opened(Stage.TTS, 2)
    assert isinstance(tts, TextToSpeechPool)
    assert tts.info.name == "scripted"
    sounds = await asyncio.gather(*(tts.synthesize("hello", voice=None, speed=1.0) for _ in range(5)))
    assert {sound.duration_s for sound in sounds} == {5 * 0.06}
    await tts.close()
    assert not tts.state.ready


async def test_memory_decides_how_many_there_are(opened, caplog):
    stt = await opened(Stage.STT, 4, available=[1_000 * MIB, 500 * MIB, 0])
    assert isinstance(stt, SpeechToTextPool)
    assert "2 of 4 processes for stt: scripted needs about" in caplog.text
    assert (await stt.transcribe(CLIP, language=None, prompt="")).text


@pytest.mark.embedded
async def test_a_machine_with_many_cores_has_several_of_an_engine_that_uses_one(opened, monkeypatch):
    pytest.importorskip("espeakng_loader")
    for cores, kind in ((7, EngineHost), (8, TextToSpeechPool)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert isinstance(await opened(Stage.TTS, None, "espeak"), kind)
    assert isinstance(await opened(Stage.STT, None), SpeechToTextHost)


def test_a_language_model_is_one_process():
    with pytest.raises(ValidationError, match="workers"):
        LanguageModelSettings.model_validate({"workers": 2})
