"""An answer that is heard: each sentence while the next is still being written, in the form that was asked for."""

import asyncio
from contextlib import nullcontext

import numpy as np
import pytest

from agent.audio import Audio, decode_wav
from agent.contract.base64 import decode_base64
from agent.contract.errors import ErrorCode
from agent.contract.events import EventType
from agent.contract.messages import Request, Sampling, VoiceOptions
from agent.contract.terms import AudioFormat, Operation, ReplyMode, Stage, Status
from agent.engines.base import Delta
from agent.errors import Cancelled, EngineDied, EngineError
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.operations import PLANS
from agent.pipeline.phrases import Phrases
from agent.pipeline.played import Played
from agent.pipeline.run import Run
from agent.pipeline.speech import UNSAYABLE
from agent.pipeline.stages import Stages
from agent.pipeline.telling import Teller
from tests.fakes import FakeEngines, FakeLanguageModel, FakeListener, FakeTextToSpeech

pytestmark = pytest.mark.anyio

RATE = 16_000
ANSWER = ("The sun is up. ", "It is *very* warm today. ", "Open the window, please.")
SPOKEN = ["The sun is up.", "It is very warm today.", "Open the window, please."]


class Gated(FakeLanguageModel):
    """Writes each piece only when it is let."""

    pieces = ANSWER

    def __init__(self, *failures):
        super().__init__(*failures)
        self.let = asyncio.Semaphore(0)

    async def chat(self, messages, sampling):
        async for delta in super().chat(messages, sampling):
            await self.let.acquire()
            yield delta


class Loud(FakeTextToSpeech):
    """A second of speech a sentence, as loud as its number; remembers what it said."""

    def __init__(self, *failures):
        super().__init__(*failures)
        self.said = []
        self.unsayable = ()

    async def synthesize(self, text, *, voice, speed):
        await self.begin()
        self.ended += 1
        if text in self.unsayable:
            raise EngineError(Stage.TTS, "no sound for it", reason=UNSAYABLE, retriable=False)
        self.said.append(text)
        return Audio(np.full(RATE, len(self.said) / 10, dtype=np.float32), RATE)


@pytest.fixture
def engines():
    return FakeEngines(None, Gated(), Loud())


def run_of(*, caller, operation=Operation.CHAT, text="Hi", **fields):
    request = Request(id="r1", deadline_ms=10_000, text=text, reply_mode=ReplyMode.BOTH, **fields)
    admitted = Admitted(RunKey("demo", "r1"), operation, request, None, ReplyTo("reply/demo/r1"), 0.0)
    return Run(admitted, PLANS[operation](request, None), Teller("r1", caller))


def perform(run, engines, phrases=None):
    stages = Stages(engines, max_audio_s=5, system="", sampling=Sampling(max_tokens=64), phrases=phrases or Phrases(0))
    return asyncio.create_task(run.perform(stages, nullcontext()))


def let_write(engines, pieces=4):
    for _ in range(pieces):
        engines.llm.let.release()


async def test_a_sentence_is_heard_before_the_next_is_written(engines):
    caller = FakeListener(audio=True)
    run = run_of(caller=caller)
    performing = perform(run, engines)
    let_write(engines, 2)  # the second piece shows that the first sentence is over
    first = await caller.until(EventType.AUDIO)
    assert (first.chunk, first.text, len(caller.played)) == (0, "The sun is up.", 1)
    assert not performing.done()
    let_write(engines, 2)
    await performing
    reply = run.reply("orin")
    assert (reply.audio.data, reply.audio.chunks, reply.audio.duration_ms) == (None, 3, 3_000)
    assert (reply.text, reply.speech_text) == ("".join(ANSWER), " ".join(SPOKEN))
    assert reply.timings_ms.tts_first_audio < reply.timings_ms.total
    assert [chunk for chunk, _, _ in caller.played] == [0, 1, 2]
    assert [event.text for event in caller.heard if event.type is EventType.SENTENCE] == [
        "The sun is up.",
        "It is *very* warm today.",
        "Open the window, please.",
    ]


async def test_each_chunk_plays_by_itself_and_holds_its_sentence(engines):
    caller = FakeListener(events=False, audio=True)
    run = run_of(caller=caller)
    let_write(engines)
    await perform(run, engines)
    for number, (_, wav, content_type) in enumerate(caller.played, 1):
        audio = decode_wav(wav, max_s=5)
        assert (content_type, audio.sample_rate, audio.duration_s) == ("audio/wav", RATE, 1.0)
        assert np.allclose(audio.samples, number / 10, atol=1e-3)


async def test_format_rate_and_size_are_the_devices_own(engines):
    caller = FakeListener(audio=True, chunk_bytes=4_096)
    run = run_of(caller=caller, tts=VoiceOptions(format=AudioFormat.PCM, sample_rate=8_000))
    let_write(engines)
    await perform(run, engines)
    assert {content_type for _, _, content_type in caller.played} == {"audio/pcm;rate=8000;channels=1"}
    assert max(len(pcm) for _, pcm, _ in caller.played) <= 4_096
    assert sum(len(pcm) for _, pcm, _ in caller.played) == 3 * 8_000 * 2
    events = [event for event in caller.heard if event.type is EventType.AUDIO]
    assert [event.chunk for event in events] == list(range(len(caller.played)))
    assert [event.text for event in events if event.text] == [text.strip() for text in ANSWER]
    assert caller.heard[-1].chunks == run.reply("orin").audio.chunks == len(caller.played)


async def test_whoever_wants_no_chunks_gets_all_of_it_in_the_reply(engines):
    run = run_of(caller=FakeListener(events=False))
    let_write(engines)
    await perform(run, engines)
    reply = run.reply("orin")
    whole = decode_wav(decode_base64(reply.audio.data), max_s=5)
    assert (whole.duration_s, reply.audio.duration_ms, reply.audio.chunks) == (3.0, 3_000, None)
    assert engines.tts.said == SPOKEN


async def test_a_text_is_spoken_without_a_language_model():
    engines = FakeEngines(None, None, Loud())
    run = run_of(caller=None, operation=Operation.SPEAK, text="".join(ANSWER))
    await perform(run, engines)
    assert engines.tts.said == SPOKEN
    assert run.reply("orin").audio.duration_ms == 3_000


async def test_what_cannot_be_said_is_passed_over_with_a_warning(engines):
    engines.tts.unsayable = {SPOKEN[1]}
    caller = FakeListener()
    run = run_of(caller=caller)
    let_write(engines)
    await perform(run, engines)
    assert engines.tts.said == [SPOKEN[0], SPOKEN[2]]
    assert (await caller.until(EventType.WARNING)).code == UNSAYABLE
    assert [event.n for event in caller.heard if event.type is EventType.SENTENCE] == [0, 1, 2]
    assert caller.told.count(EventType.TTS_START) == 1


async def test_an_answer_without_a_word_to_say_is_a_typed_error(engines):
    engines.llm.pieces = ("```\ncode\n```", "\n", "---")
    engines.tts.unsayable = {"Code."}
    run = run_of(caller=None)
    let_write(engines)
    with pytest.raises(EngineError) as caught:
        await perform(run, engines)
    assert (caught.value.code, caught.value.reason) == (ErrorCode.TTS_FAILED, UNSAYABLE)
    assert run.reply("orin", caught.value).text


async def test_a_voice_that_fails_leaves_the_text_and_ends_its_work(engines):
    engines.tts.failures.append(EngineError(Stage.TTS, "hoarse"))
    run = run_of(caller=FakeListener(audio=True))
    let_write(engines)
    with pytest.raises(EngineError) as caught:
        await perform(run, engines)
    reply = run.reply("orin", caught.value)
    assert (reply.error.code, reply.text, reply.audio) == (ErrorCode.TTS_FAILED, "".join(ANSWER), None)


async def test_who_listens_hears_at_once_that_there_will_be_no_speech(engines):
    engines.tts.failures.append(EngineError(Stage.TTS, "hoarse"))
    caller = FakeListener(audio=True)
    performing = perform(run_of(caller=caller), engines)
    let_write(engines, 2)
    assert (await caller.until(EventType.WARNING)).code == "tts_failed"
    assert not performing.done()
    let_write(engines, 2)
    with pytest.raises(EngineError):
        await performing


async def test_a_cancel_that_comes_when_all_is_said_changes_nothing(engines):
    run = run_of(caller=FakeListener(audio=True))
    let_write(engines)
    await perform(run, engines)
    run.cancel(played=Played(0))
    reply = run.reply("orin")
    assert (reply.status, reply.heard_text) == (Status.OK, None)


async def test_a_cancel_stops_the_speech_and_keeps_what_was_heard(engines):
    caller = FakeListener(audio=True)
    run = run_of(caller=caller)
    performing = perform(run, engines)
    let_write(engines, 3)
    while len(caller.played) < 2:
        caller.came.clear()
        await caller.came.wait()
    run.cancel(played=Played(1_500))
    with pytest.raises(Cancelled) as caught:
        await performing
    assert engines.llm.ended == 1
    assert len(caller.played) == 2
    reply = run.reply("orin", caught.value)
    assert reply.heard_text == "The sun is up. It is *very*"
    assert (reply.audio.data, reply.audio.chunks) == (None, 2)


async def test_a_cancel_that_does_not_say_what_was_played_goes_by_the_clock(engines):
    caller = FakeListener(audio=True)
    run = run_of(caller=caller)
    performing = perform(run, engines)
    let_write(engines, 2)
    await caller.until(EventType.AUDIO)
    run.cancel()
    with pytest.raises(Cancelled) as caught:
        await performing
    assert "The sun is up.".startswith(run.reply("orin", caught.value).heard_text)


async def test_sentences_that_nobody_heard_are_said_anew_where_the_model_died(engines):
    engines.llm = FakeLanguageModel()
    engines.llm.pieces = ANSWER
    engines.llm.fails_after_first = EngineDied(Stage.LLM, "killed")
    run = run_of(caller=FakeListener(events=False))
    await perform(run, engines)
    reply = run.reply("orin")
    assert (reply.text, reply.audio.duration_ms) == ("".join(ANSWER), 3_000)


async def test_a_sentence_that_comes_again_is_not_made_again(engines):
    phrases = Phrases(1_000_000)
    for caller in (FakeListener(audio=True), FakeListener(audio=True)):
        let_write(engines)
        await perform(run_of(caller=caller), engines, phrases)
        assert len(caller.played) == 3
    assert engines.tts.said == SPOKEN


async def test_runs_that_speak_at_once_never_mix():
    """Every listener hears its own sentences, in its own voice, though the one voice says them in turn."""

    words = ("one", "two", "three", "four", "five", "six", "seven", "eight")

    def sound(text):
        return sum(number * byte for number, byte in enumerate(text.encode(), 1)) % 997 / 1_000

    class Echo(FakeLanguageModel):
        async def chat(self, messages, sampling):
            yield Delta("")
            for word in words:
                await asyncio.sleep(0)
                yield Delta(f"Sentence {word} of {messages[-1].content}. ")

    class Marked(FakeTextToSpeech):
        async def synthesize(self, text, *, voice, speed):
            await asyncio.sleep(0)
            return Audio(np.full(160, sound(text), dtype=np.float32), RATE)

    engines = FakeEngines(None, Echo(), Marked())
    callers = {f"number {name * 3}": FakeListener(audio=True) for name in "bcdefghjklmnopqrstuvwxyz"}
    await asyncio.gather(*(perform(run_of(caller=listener, text=name), engines) for name, listener in callers.items()))
    for name, listener in callers.items():
        texts = [event.text for event in listener.heard if event.type is EventType.AUDIO]
        assert texts == [f"Sentence {word} of {name}." for word in words]
        for text, (_, wav, _) in zip(texts, listener.played, strict=True):
            assert np.allclose(decode_wav(wav, max_s=1).samples, sound(text), atol=1e-3)
