"""A run from request to reply: the order of its stages, what stays in the reply when one fails, deadline and cancel."""

import asyncio
import math
from contextlib import nullcontext

import numpy as np
import pytest

from agent.audio import Audio, encode_wav
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import EventType
from agent.contract.messages import Message, Request, Sampling
from agent.contract.terms import FinishReason, Operation, ReplyMode, Role, Stage, Status
from agent.errors import Cancelled, EngineDied, EngineError, Expired
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.operations import PLANS
from agent.pipeline.phrases import Phrases
from agent.pipeline.run import Run
from agent.pipeline.stages import Stages
from agent.pipeline.telling import Teller
from tests.fakes import FakeEngines, FakeLanguageModel, FakeListener, FakeSpeechToText, FakeTextToSpeech

pytestmark = pytest.mark.anyio

TONE = np.sin(np.arange(16_000) * 440 * 2 * math.pi / 16_000).astype(np.float32) * 0.3
CLIP = encode_wav(Audio(TONE, 16_000))
SILENCE = encode_wav(Audio(np.zeros(16_000, np.float32), 16_000))


@pytest.fixture
def engines():
    return FakeEngines(FakeSpeechToText(), FakeLanguageModel(), FakeTextToSpeech())


def run_of(operation=Operation.CHAT, *, clip=None, deadline_ms=10_000, age_s=0.0, read=True, **fields):
    request = Request(id="r1", deadline_ms=deadline_ms, **fields)
    admitted = Admitted(RunKey("demo", "r1"), operation, request, clip, ReplyTo("reply/demo/r1"), 0.0)
    listener = FakeListener(events=read)
    return Run(admitted, PLANS[operation](request, clip), Teller("r1", listener, age_s=age_s)), listener


async def perform(run, engines):
    stages = Stages(engines, max_audio_s=5, system="Be kind.", sampling=Sampling(max_tokens=64), phrases=Phrases(0))
    await run.perform(stages, nullcontext())


async def test_a_spoken_question_is_heard_answered_and_spoken(engines):
    run, caller = run_of(clip=CLIP, reply_mode=ReplyMode.BOTH, metadata={"room": "kitchen"})
    await perform(run, engines)
    reply = run.reply("orin")
    assert (reply.status, reply.text, reply.finish_reason) == (Status.OK, "It is.", FinishReason.STOP)
    assert (reply.transcript.text, reply.audio.duration_ms) == ("what is it", 1_000)
    assert (reply.usage.completion_tokens, reply.context.window, reply.rates.decode_tok_s) == (3, 128, 50.0)
    assert reply.engines.model_dump() == {"stt": "fake/m1", "llm": "fake/m1", "tts": "fake/m1"}
    assert all(ms is not None for ms in reply.timings_ms.model_dump().values())
    assert reply.metadata == {"room": "kitchen"}
    assert [event.seq for event in caller.heard] == list(range(len(caller.heard)))
    assert caller.told == [
        EventType.STT_START,
        EventType.STT_END,
        EventType.LLM_START,
        EventType.LLM_END,
        EventType.TTS_START,
        EventType.SENTENCE,
        EventType.TTS_END,
    ]
    assert "".join(event.delta or "" for event in caller.heard) == "It is."


async def test_a_typed_question_needs_no_ears_and_no_voice(engines):
    run, _ = run_of(text="Hi")
    await perform(run, engines)
    assert (engines.stt.calls, engines.tts.calls) == (0, 0)
    assert engines.llm.messages == [
        Message(role=Role.SYSTEM, content="Be kind."),
        Message(role=Role.USER, content="Hi"),
    ]
    assert engines.llm.sampling.max_tokens == 64
    reply = run.reply("orin")
    assert (reply.audio, reply.speech_text, reply.heard_text) == (None, None, None)


async def test_a_conversation_may_bring_its_own_system_message(engines):
    turns = [Message(role=Role.SYSTEM, content="Rhyme."), Message(role=Role.USER, content="Hi")]
    run, _ = run_of(messages=turns)
    await perform(run, engines)
    assert engines.llm.messages == turns


async def test_the_callers_instruction_takes_the_operators_place(engines):
    run, _ = run_of(text="Hi", system="Rhyme.")
    await perform(run, engines)
    assert engines.llm.messages[0].content == "Rhyme."


@pytest.mark.parametrize(
    ("operation", "fields", "stages", "mode"),
    [
        (Operation.TRANSCRIBE, {"clip": CLIP, "reply_mode": ReplyMode.BOTH}, {Stage.STT}, ReplyMode.TEXT),
        (Operation.SPEAK, {"text": "Hi"}, {Stage.TTS}, ReplyMode.AUDIO),
        (Operation.CHAT, {"text": "Hi", "reply_mode": ReplyMode.AUDIO}, {Stage.LLM, Stage.TTS}, ReplyMode.AUDIO),
    ],
)
async def test_an_operation_needs_just_its_stages(operation, fields, stages, mode):
    run, _ = run_of(operation, **fields)
    assert run.plan == stages
    assert run.reply("orin").reply_mode is mode


@pytest.mark.parametrize(
    ("operation", "fields", "clip"),
    [
        (Operation.CHAT, {}, None),
        (Operation.CHAT, {"text": "a"}, b"RIFF"),
        (Operation.TRANSCRIBE, {"text": "a"}, None),
        (Operation.TRANSCRIBE, {}, None),
        (Operation.TRANSCRIBE, {"text": "a"}, b"RIFF"),
        (Operation.SPEAK, {"text": "a"}, b"RIFF"),
        (Operation.SPEAK, {}, b"RIFF"),
    ],
)
async def test_an_operation_refuses_what_it_cannot_use(operation, fields, clip):
    with pytest.raises(ContractError) as caught:
        run_of(operation, clip=clip, **fields)
    assert caught.value.code is ErrorCode.BAD_REQUEST


async def test_silence_is_no_speech_and_nobody_else_is_asked(engines):
    run, _ = run_of(clip=SILENCE)
    with pytest.raises(ContractError) as caught:
        await perform(run, engines)
    assert caught.value.code is ErrorCode.NO_SPEECH
    assert (engines.stt.calls, engines.llm.calls) == (0, 0)


async def test_an_empty_transcript_is_no_speech(engines):
    engines.stt.text = " "
    run, _ = run_of(clip=CLIP)
    with pytest.raises(ContractError) as caught:
        await perform(run, engines)
    assert (caught.value.code, engines.llm.calls) == (ErrorCode.NO_SPEECH, 0)


async def test_what_was_produced_before_a_failure_stays_in_the_reply(engines):
    engines.tts.failures.append(EngineError(Stage.TTS, "hoarse"))
    run, _ = run_of(clip=CLIP, reply_mode=ReplyMode.AUDIO)
    with pytest.raises(EngineError) as caught:
        await perform(run, engines)
    reply = run.reply("orin", caught.value)
    assert (reply.status, reply.error.code, reply.error.stage) == (Status.ERROR, ErrorCode.TTS_FAILED, Stage.TTS)
    assert (reply.transcript.text, reply.text, reply.audio) == ("what is it", "It is.", None)


@pytest.mark.parametrize("stage", Stage)
async def test_an_engine_that_dies_costs_one_retry(engines, stage):
    getattr(engines, stage.value).failures.append(EngineDied(stage, "killed"))
    run, _ = run_of(clip=CLIP, reply_mode=ReplyMode.AUDIO)
    await perform(run, engines)
    assert run.reply("orin").status is Status.OK
    assert getattr(engines, stage.value).calls == 2


async def test_an_engine_that_dies_twice_is_a_typed_error(engines):
    engines.llm.failures += [EngineDied(Stage.LLM, "killed"), EngineDied(Stage.LLM, "killed")]
    run, _ = run_of(text="Hi")
    with pytest.raises(EngineDied):
        await perform(run, engines)


async def test_words_that_were_read_are_never_begun_again(engines):
    engines.llm.fails_after_first = EngineDied(Stage.LLM, "killed")
    run, _ = run_of(text="Hi")
    with pytest.raises(EngineDied):
        await perform(run, engines)
    assert (engines.llm.calls, run.reply("orin").text) == (1, "It ")


async def test_words_that_nobody_read_are_begun_again_and_not_doubled(engines):
    engines.llm.fails_after_first = EngineDied(Stage.LLM, "killed")
    run, _ = run_of(text="Hi", read=False)
    await perform(run, engines)
    assert run.reply("orin").text == "It is."


async def test_a_deadline_ends_the_engines_work(engines):
    engines.llm.hold = asyncio.Event()
    run, _ = run_of(text="Hi", deadline_ms=30)
    with pytest.raises(Expired) as caught:
        await perform(run, engines)
    reply = run.reply("orin", caught.value)
    assert (reply.status, reply.finish_reason, reply.error.code) == (
        Status.EXPIRED,
        FinishReason.DEADLINE,
        ErrorCode.EXPIRED,
    )
    assert (engines.llm.calls, engines.llm.ended) == (1, 1)


async def test_what_is_past_its_deadline_is_not_begun(engines):
    run, _ = run_of(text="Hi", age_s=11)
    with pytest.raises(Expired):
        await perform(run, engines)
    assert engines.llm.calls == 0


async def test_cancel_ends_the_engines_work(engines):
    engines.llm.hold = asyncio.Event()
    run, _ = run_of(text="Hi")
    performing = asyncio.create_task(perform(run, engines))
    while not engines.llm.calls:
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(Cancelled) as caught:
        await performing
    assert engines.llm.ended == 1
    assert run.reply("orin", caught.value).status is Status.CANCELLED


async def test_cancel_before_the_run_begins_is_not_lost(engines):
    run, _ = run_of(text="Hi")
    run.cancel()
    with pytest.raises(Cancelled):
        await perform(run, engines)
    assert engines.llm.calls == 0


async def test_a_stage_without_an_engine_says_so():
    run, _ = run_of(text="Hi")
    with pytest.raises(ContractError, match="no engine for llm") as caught:
        await perform(run, FakeEngines())
    assert caught.value.code is ErrorCode.MODEL_NOT_READY


@pytest.mark.parametrize(
    ("pieces", "text", "why"),
    [
        (["user: How are", " you?\nus", "er: I'm fine.", "\nuser: How are"], "How are you?", FinishReason.STOP),
        (["It is so", ". ", *["I said", " so. "] * 40], "It is so. I said so.", FinishReason.LOOP),
        (["One", ". Tw", "o"], "One", FinishReason.STOP),
    ],
)
async def test_an_answer_that_does_not_end_well(engines, pieces, text, why):
    engines.llm.pieces = pieces
    run, caller = run_of(text="Hi", params={"stop": (". T",)})
    await perform(run, engines)
    reply = run.reply("orin")
    assert (reply.text, reply.finish_reason, engines.llm.ended) == (text, why, 1)
    assert 0 < reply.usage.completion_tokens < len(pieces) + 1
    assert "".join(event.delta or "" for event in caller.heard).startswith(text)
