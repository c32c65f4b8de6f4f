"""A host keeps its promises, whatever becomes of the worker."""

import asyncio
import logging
import os
import re
import signal
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.base import Delta
from agent.engines.host import LanguageModelHost, SpeechToTextHost, TextToSpeechHost
from agent.engines.settings import EngineSettings
from agent.errors import EngineDied, EngineError

pytestmark = pytest.mark.anyio

CLIP = Audio(np.zeros(1_600, dtype=np.float32), 16_000)
FOR_EVER_S = 600.0


def chat(llm: LanguageModelHost, text: str = "one two three") -> AsyncGenerator[Delta, None]:
    return llm.chat([Message(role=Role.USER, content=text)], Sampling())


async def asked(call: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    """Starts `call` and returns once it is with the worker."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    return task


async def assert_answers(tts: TextToSpeechHost) -> None:
    """A voice that is not there is refused before any delay, but not before the slot is free."""
    with pytest.raises(EngineError) as caught:
        await tts.synthesize("hello", voice="nobody", speed=1.0)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_call_frees_the_engine(hosted):
    tts = await hosted(Stage.TTS, delay_s=FOR_EVER_S)
    await cancel(await asked(tts.synthesize("hello", voice=None, speed=1.0)))
    await assert_answers(tts)
    assert tts.state.restarts == 0


async def test_a_closed_conversation_frees_its_slot(hosted):
    llm = await hosted(Stage.LLM, slots=1, piece_delay_s=FOR_EVER_S)
    for _ in range(3):
        async with aclosing(chat(llm)) as deltas:
            assert (await anext(deltas)).text == "You"
    assert llm.state.restarts == 0


async def test_a_conversation_cancelled_as_it_is_asked_costs_nobody_anything(hosted):
    llm = await hosted(Stage.LLM, slots=1, settings={"cancel_grace_s": 1.0})
    for _ in range(50):
        call = asyncio.create_task(anext(chat(llm)))
        await asyncio.sleep(0)  # call and cancel reach the worker in one piece
        await cancel(call)
    async with aclosing(chat(llm)) as deltas:
        assert (await anext(deltas)).text
    assert llm.state.restarts == 0


async def test_a_call_that_waits_for_a_slot_can_be_cancelled(hosted):
    tts = await hosted(Stage.TTS, delay_s=FOR_EVER_S)
    first = await asked(tts.synthesize("hello", voice=None, speed=1.0))
    await cancel(await asked(tts.synthesize("hello", voice=None, speed=1.0)))
    await cancel(first)
    await assert_answers(tts)


async def test_a_worker_that_ignores_a_cancel_is_replaced(hosted):
    tts = await hosted(Stage.TTS, delay_s=FOR_EVER_S, settings={"cancel_grace_s": 0.2})
    call = await asked(tts.synthesize("hello", voice=None, speed=1.0))
    os.kill(tts.pid, signal.SIGSTOP)
    await cancel(call)
    await assert_answers(tts)
    assert tts.state.restarts == 1


async def test_a_killed_worker_fails_its_calls_and_is_started_again(hosted):
    changes: list[None] = []

    def on_change():
        changes.append(None)
        raise RuntimeError("nobody's business")

    stt = await hosted(Stage.STT, delay_s=FOR_EVER_S, on_change=on_change)
    call = await asked(stt.transcribe(CLIP, language=None, prompt=""))
    killed = stt.pid
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(EngineDied, match="SIGKILL") as caught:
        await call
    assert caught.value.code is ErrorCode.STT_FAILED
    assert not stt.state.ready
    await cancel(await asked(stt.transcribe(CLIP, language=None, prompt="")))  # made meanwhile, it waits
    while not stt.state.ready:
        await asyncio.sleep(0.01)
    assert stt.state.restarts == 1
    assert stt.pid != killed
    assert len(changes) == 3


async def test_a_death_fails_every_conversation_in_flight(hosted):
    llm = await hosted(Stage.LLM, slots=2, piece_delay_s=FOR_EVER_S)
    async with aclosing(chat(llm)) as one, aclosing(chat(llm)) as other:
        await anext(one)
        await anext(other)
        os.kill(llm.pid, signal.SIGKILL)
        for deltas in (one, other):
            with pytest.raises(EngineDied):
                await anext(deltas)
    async with aclosing(chat(llm)) as deltas:
        assert (await anext(deltas)).text == "You"


async def test_a_worker_silent_in_the_middle_of_a_call_is_replaced(hosted):
    tts = await hosted(Stage.TTS, delay_s=FOR_EVER_S, settings={"hang_timeout_s": 1.0})
    call = await asked(tts.synthesize("hello", voice=None, speed=1.0))
    os.kill(tts.pid, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="silent for 1 s"):
        await call
    await assert_answers(tts)


async def test_calls_wait_no_longer_than_a_load_may_take(tmp_path):
    settings = EngineSettings(name="scripted", load_timeout_s=0.01)
    stt = SpeechToTextHost(Stage.STT, settings, tmp_path, on_change=lambda: None)  # never started, so never ready
    with pytest.raises(EngineError, match="not ready") as caught:
        await stt.transcribe(CLIP, language=None, prompt="")
    assert caught.value.code is ErrorCode.MODEL_NOT_READY
    assert not stt.state.ready


async def test_a_worker_that_dies_again_and_again_is_started_ever_later(hosted, caplog):
    caplog.set_level(logging.INFO, "agent.engines.keeper")
    stt = await hosted(Stage.STT)
    for _ in range(3):
        os.kill(stt.pid, signal.SIGKILL)
        while stt.state.ready:
            await asyncio.sleep(0.01)
        assert await stt.transcribe(CLIP, language=None, prompt="")
    pauses = re.findall(r"starts again in ([\d.]+) s", caplog.text)
    assert pauses == ["0.1", "0.2", "0.4"]


async def test_a_closed_engine_refuses_calls(hosted):
    stt = await hosted(Stage.STT, delay_s=FOR_EVER_S)
    call = await asked(stt.transcribe(CLIP, language=None, prompt=""))
    await stt.close()
    with pytest.raises(EngineDied, match="closed"):
        await call
    with pytest.raises(EngineError, match="not ready"):
        await stt.transcribe(CLIP, language=None, prompt="")


async def test_why_it_cannot_load_is_said(hosted):
    with pytest.raises(EngineError, match="no llm engine 'nonsense'"):
        await hosted(Stage.LLM, "nonsense")
    with pytest.raises(EngineError, match=r"scripted options: slots: .*greater than or equal to 1"):
        await hosted(Stage.LLM, slots=0)


async def test_the_last_words_of_a_worker_that_dies_loading_are_kept(hosted):
    with pytest.raises(EngineError, match=r"ended with status 1; its last words: .*encodings"):
        await hosted(Stage.STT, settings={"environment": {"PYTHONHOME": "/nonexistent"}})


async def test_a_load_that_takes_too_long_is_ended(hosted):
    with pytest.raises(EngineError, match="did not load within"):
        await hosted(Stage.STT, settings={"load_timeout_s": 0.001})


async def test_conversations_at_once_do_not_mix(hosted):
    llm = await hosted(Stage.LLM, slots=4, piece_delay_s=0.001)

    async def ask(number: int) -> bool:
        text = f"{number} " * 20 + "end"
        return "".join([delta.text async for delta in chat(llm, text)]) == f"You said: {text}"

    assert all(await asyncio.gather(*(ask(number) for number in range(12))))


async def test_calls_are_answered_in_the_order_they_came(hosted):
    stt = await hosted(Stage.STT)
    order: list[int] = []

    async def ask(number: int) -> None:
        await stt.transcribe(CLIP, language=None, prompt="")
        order.append(number)

    await asyncio.gather(*(ask(number) for number in range(20)))
    assert order == list(range(20))


async def test_what_the_worker_writes_is_logged_at_debug(hosted, caplog):
    caplog.set_level(logging.DEBUG, "agent.engines.process")
    stt = await hosted(Stage.STT, settings={"environment": {"PYTHONVERBOSE": "1"}})
    await stt.close()
    assert any("stt: import" in record.getMessage() for record in caplog.records)


async def test_closing_ends_the_worker(hosted):
    stt = await hosted(Stage.STT, delay_s=FOR_EVER_S)
    ended = os.pidfd_open(stt.pid)
    try:
        await stt.close()
        with pytest.raises(ProcessLookupError):
            signal.pidfd_send_signal(ended, 0)
    finally:
        os.close(ended)
