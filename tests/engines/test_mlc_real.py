"""The real MLC LLM with a real model, wherever there are both.

    EDGEVOICE_MLC_MODEL=/models/Qwen2.5-0.5B-Instruct-q4f16_1-MLC pytest -m mlc

EDGEVOICE_MLC_MODEL is the model's folder (or its name, or HF://user/repository); EDGEVOICE_MLC_MODEL_LIB its library,
where that is not beside it; EDGEVOICE_MLC_DEVICE what to run it on, where that is not `auto`.
"""

import asyncio
import os
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.contract.errors import ErrorCode
from agent.contract.messages import Sampling
from agent.contract.terms import FinishReason, Stage
from agent.errors import EngineError
from tests.engines.asking import answer, chat, text_of


def path_in(variable):
    """What the variable names, as seen from where the tests were started: they run elsewhere."""
    named = os.environ.get(variable)
    return str(Path(named).resolve()) if named and Path(named).exists() else named


MODEL = path_in("EDGEVOICE_MLC_MODEL")
LIBRARY = path_in("EDGEVOICE_MLC_MODEL_LIB")
DEVICE = os.environ.get("EDGEVOICE_MLC_DEVICE", "auto")
THERE = MODEL and find_spec("mlc_llm") and find_spec("tvm")
QUESTION = "What is the capital of France? Answer in one sentence."

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.mlc,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not THERE, reason="no mlc_llm here, or EDGEVOICE_MLC_MODEL names no model for it"),
]


@pytest.fixture
def mlc(hosted):
    """Loads the real model."""

    async def start(**options):
        options = {"model": MODEL, "model_lib": LIBRARY, "device": DEVICE, "context_window": 512, **options}
        return await hosted(Stage.LLM, "mlc", settings={"load_timeout_s": 600.0}, **options)

    return start


async def test_a_model_loads_answers_in_pieces_and_closes(mlc):
    llm = await mlc()
    assert llm.info.name == "mlc"
    assert llm.info.context_window == 512
    assert ":" in (llm.info.device or "")
    *pieces, last = await answer(llm, QUESTION, temperature=0, max_tokens=32)
    assert len(pieces) >= 4
    assert all(piece.text and piece.finish_reason is None for piece in pieces)
    assert last.finish_reason in {FinishReason.STOP, FinishReason.LENGTH}
    assert len(pieces) <= last.completion_tokens + 1 <= 33
    assert last.prompt_tokens >= len(QUESTION.split())
    pid = llm.pid
    await llm.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_speeds_are_told_and_plausible(mlc):
    llm = await mlc()
    last = (await answer(llm, "Tell me about the sea. " * 12, temperature=0, max_tokens=24))[-1]
    assert last.prefill_tok_s
    assert last.prefill_tok_s > 0
    if last.completion_tokens > 1:
        assert last.decode_tok_s
        assert 0 < last.decode_tok_s <= 2_000
    one = (await answer(llm, QUESTION, max_tokens=1))[-1]
    assert (one.finish_reason, one.completion_tokens, one.decode_tok_s) == (FinishReason.LENGTH, 1, None)


async def test_two_conversations_at_once(mlc):
    llm = await mlc()
    both = await asyncio.gather(
        answer(llm, QUESTION, temperature=0, max_tokens=24),
        answer(llm, "How many days are in a week?", temperature=0, max_tokens=24),
    )
    assert all(text_of(deltas).strip() and deltas[-1].finish_reason for deltas in both)
    assert text_of(both[0]) != text_of(both[1])
    assert all(deltas[-1].decode_tok_s is None or deltas[-1].decode_tok_s <= 2_000 for deltas in both)


@pytest.mark.parametrize("mode", ["interactive", "local"])
async def test_a_cancelled_conversation_leaves_the_next_as_it_would_have_been(mlc, mode):
    llm = await mlc(mode=mode)
    asked = {"temperature": 0, "max_tokens": 8}
    before = text_of(await answer(llm, QUESTION, **asked))
    async with aclosing(chat(llm, "Write a long story about a lighthouse.", max_tokens=400)) as deltas:
        for _ in range(3):
            await anext(deltas)
    cancelled = asyncio.create_task(answer(llm, "Write a long story about a ship.", max_tokens=400))
    await asyncio.sleep(0.2)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert text_of(await answer(llm, QUESTION, **asked)) == before
    assert llm.state.restarts == 0


async def test_a_conversation_that_is_too_long_is_refused(mlc):
    llm = await mlc(context_window=256)
    with pytest.raises(EngineError, match="more than the model's window of 256") as caught:
        await answer(llm, "word " * 600)
    assert caught.value.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert caught.value.limit == 256
    assert caught.value.actual
    assert caught.value.actual > 256
    assert text_of(await answer(llm, QUESTION, max_tokens=8))


async def test_an_answer_goes_on_to_the_end_of_the_window(mlc):
    llm = await mlc(context_window=256)
    prompt = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, " * 4
    last = [delta async for delta in llm.complete(prompt, Sampling(temperature=0))][-1]
    assert last.finish_reason in {FinishReason.STOP, FinishReason.LENGTH}
    if last.finish_reason is FinishReason.LENGTH:
        assert last.prompt_tokens + last.completion_tokens >= 255


async def test_a_prompt_is_taken_as_it_is(mlc):
    llm = await mlc()
    prompt = "1, 2, 3, 4, 5, 6,"
    raw = [delta async for delta in llm.complete(prompt, Sampling(temperature=0, max_tokens=8))]
    assert text_of(raw)
    assert raw[-1].prompt_tokens < (await answer(llm, prompt, max_tokens=1))[-1].prompt_tokens


async def test_a_stop_string_ends_the_answer(mlc):
    llm = await mlc()
    whole = text_of(await answer(llm, QUESTION, temperature=0, max_tokens=24))
    stop = whole.split()[2]
    stopped = await answer(llm, QUESTION, temperature=0, max_tokens=24, stop=(stop,))
    assert text_of(stopped).rstrip() == whole[: whole.index(stop)].rstrip()
    assert stopped[-1].finish_reason is FinishReason.STOP


async def test_sampling_is_repeatable_and_penalties_are_taken(mlc):
    llm = await mlc()
    asked = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 16, "frequency_penalty": 0.5, "presence_penalty": 0.5}
    first, again = [text_of(await answer(llm, "Name a fruit.", seed=5, **asked)) for _ in range(2)]
    assert first == again
    with pytest.raises(EngineError) as caught:
        await answer(llm, "Name a fruit.", repetition_penalty=1.77)
    assert caught.value.code is ErrorCode.BAD_REQUEST
