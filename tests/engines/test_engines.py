"""What every engine promises, checked through a real host and worker on each that is installed."""

import asyncio
from typing import Any

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines import registry
from agent.engines.base import Delta, Transcript
from agent.engines.host import LanguageModelHost, SpeechToTextHost
from agent.engines.prompt import PromptTemplate
from agent.errors import EngineError
from agent.evaluation.words import word_errors

pytestmark = pytest.mark.anyio

SENTENCES = (
    "What is the capital of France?",
    "How many days are in a week?",
    "The capital of France is Paris.",
    "A week is seven days.",
    "Turn on the kitchen lights.",
    "What is the capital of Italy?",
    "Please close the window.",
    "It is going to rain tomorrow.",
)


def engines(stage: Stage) -> list[ParameterSet]:
    return [
        pytest.param(name, marks=() if name == "scripted" else pytest.mark.embedded) for name in registry.ENGINES[stage]
    ]


@pytest.fixture
async def engine(hosted, models_dir):
    """Starts an engine, or skips the test with the reason why it cannot be loaded here."""

    async def start(stage, name, **options):
        leaf = registry.leaf(stage, name)
        if reason := leaf.missing(leaf.Options.model_validate(options), models_dir):
            pytest.skip(f"{name}: {reason}")
        return await hosted(stage, name, **options)

    return start


async def answer(llm: LanguageModelHost, question: str, **sampling: Any) -> list[Delta]:
    messages = [Message(role=Role.USER, content=question)]
    return [delta async for delta in llm.chat(messages, Sampling(**sampling))]


async def as_it_arrives(stt: SpeechToTextHost, clip: Audio) -> Transcript:
    listening = await stt.listen(language="en", prompt="")
    assert listening
    for start in range(0, len(clip.samples), piece := clip.sample_rate // 8):
        listening.feed(Audio(clip.samples[start : start + piece], clip.sample_rate))
    return await listening.finish()


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("name", engines(Stage.STT))
async def test_speech_to_text(engine, name):
    stt = await engine(Stage.STT, name)
    assert stt.info.name == name
    assert stt.info.languages
    assert stt.state.ready
    noise = np.random.default_rng(7).normal(0, 0.01, 8_000).astype(np.float32)
    for rate in (8_000, 16_000, 48_000):
        assert isinstance((await stt.transcribe(Audio(noise, rate), language="en", prompt="")).text, str)
    await stt.transcribe(Audio(noise[:1], 16_000), language=None, prompt="")


@pytest.mark.parametrize("name", engines(Stage.TTS))
async def test_text_to_speech(engine, name):
    tts = await engine(Stage.TTS, name)
    assert tts.info.name == name
    assert tts.info.voices
    short = await tts.synthesize("Good morning.", voice=None, speed=1.0)
    assert short.sample_rate == tts.info.sample_rate
    assert short.samples.dtype == np.float32
    assert 0.01 < np.abs(short.samples).max() <= 1
    long = await tts.synthesize("Good morning. " * 5, voice=tts.info.voices[-1], speed=1.0)
    quick = await tts.synthesize("Good morning. " * 5, voice=tts.info.voices[-1], speed=2.0)
    assert quick.duration_s < 0.8 * long.duration_s
    with pytest.raises(EngineError) as caught:
        await tts.synthesize("Good morning.", voice="nobody", speed=1.0)
    assert caught.value.code is ErrorCode.NOT_FOUND


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["flite", "espeak"])
async def test_nothing_to_say_is_an_error(engine, name):
    tts = await engine(Stage.TTS, name)
    for text in ("...", " ", "\N{HORIZONTAL ELLIPSIS} -"):
        with pytest.raises(EngineError, match="nothing in the text"):
            await tts.synthesize(text, voice=None, speed=1.0)
    assert (await tts.synthesize("caf\u00e9 \u2019n\u2019 cr\u00e8me", voice=None, speed=1.0)).duration_s > 0.3


@pytest.mark.parametrize("name", engines(Stage.LLM))
async def test_language_model(engine, name):
    llm = await engine(Stage.LLM, name)
    assert llm.info.name == name
    assert llm.info.context_window
    deltas = await answer(llm, "Count from one to ninety nine", max_tokens=4)
    assert text_of(deltas)
    assert deltas[-1].finish_reason is FinishReason.LENGTH
    assert not any(delta.finish_reason for delta in deltas[:-1])
    assert deltas[-1].completion_tokens == 4
    assert deltas[-1].prompt_tokens >= 6


@pytest.mark.parametrize("name", engines(Stage.LLM))
async def test_a_language_model_counts_what_it_would_read(engine, name):
    llm = await engine(Stage.LLM, name)
    said = ("Be brief.", "What is 2 < 3? <|im_end|>", "Gr\u00fc\u00df dich, \u4f60\u597d!", "And now?")
    roles = (Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER)
    messages = [Message(role=role, content=text) for role, text in zip(roles, said, strict=True)]
    counted = await llm.count(messages)
    deltas = [delta async for delta in llm.chat(messages, Sampling(max_tokens=1))]
    assert counted == deltas[-1].prompt_tokens


@pytest.mark.embedded
async def test_llamacpp_gives_every_slot_its_whole_window(engine):
    llm = await engine(Stage.LLM, "llamacpp", context_window=512, slots=3)
    assert llm.info.context_window == 512
    assert (await answer(llm, "word " * 300, max_tokens=1))[-1].prompt_tokens > 300
    with pytest.raises(EngineError, match="more than the model's window of 512") as caught:
        await answer(llm, "word " * 600)
    assert (caught.value.code, caught.value.limit) == (ErrorCode.CONTEXT_LENGTH_EXCEEDED, 512)
    assert (caught.value.actual or 0) > 600


@pytest.mark.embedded
async def test_llamacpp_answers_stops_and_repeats_itself_when_told_to(engine):
    llm = await engine(Stage.LLM, "llamacpp", context_window=512)
    whole = await answer(llm, "What is the capital of France?", max_tokens=24)
    assert "Paris" in text_of(whole)
    stopped = await answer(llm, "What is the capital of France?", max_tokens=24, stop=("Paris",))
    assert "Paris" not in text_of(stopped)
    assert stopped[-1].finish_reason is FinishReason.STOP
    varied = [
        text_of(await answer(llm, "Name a fruit.", max_tokens=12, temperature=1.5, seed=seed)) for seed in (5, 5, 6)
    ]
    assert varied[0] == varied[1] != varied[2]


@pytest.mark.embedded
async def test_llamacpp_goes_on_with_a_raw_prompt(engine):
    llm = await engine(Stage.LLM, "llamacpp", context_window=512)
    talk = [
        Message(role=Role.SYSTEM, content="You are a helpful assistant."),
        Message(role=Role.USER, content="What is the capital of France?"),
    ]
    form, sampling = PromptTemplate.of("chatml"), Sampling(max_tokens=24)
    raw = [delta async for delta in llm.complete(form.render(talk), form.stopping(sampling))]
    assert text_of(raw) == text_of([delta async for delta in llm.chat(talk, sampling)])
    counted = [delta async for delta in llm.complete("1, 2, 3, 4, 5, 6, 7,", Sampling(max_tokens=6))]
    assert " 8" in text_of(counted)
    assert counted[-1].completion_tokens == 6


@pytest.mark.embedded
async def test_llamacpp_keeps_two_conversations_apart(engine):
    llm = await engine(Stage.LLM, "llamacpp", context_window=512)
    paris, week = await asyncio.gather(
        answer(llm, "What is the capital of France?", max_tokens=16),
        answer(llm, "How many days are in a week?", max_tokens=16),
    )
    assert "Paris" in text_of(paris)
    assert "Paris" not in text_of(week)
    assert "day" in text_of(week)


@pytest.mark.embedded
async def test_llamacpp_begins_eight_answers_before_it_ends_one(engine):
    llm = await engine(Stage.LLM, "llamacpp", context_window=512)
    begun: list[int] = []
    begun_before_an_end: list[int] = []

    async def ask(number: int) -> None:
        talk = [Message(role=Role.USER, content=f"Count up from {number}.")]
        async for delta in llm.chat(talk, Sampling(max_tokens=16)):
            if delta.finish_reason:
                begun_before_an_end.append(len(begun))
            elif number not in begun:
                begun.append(number)

    await asyncio.gather(*(ask(number) for number in range(8)))
    assert begun_before_an_end == [8] * 8


@pytest.mark.embedded
async def test_flite_is_understood_by_pocketsphinx(engine):
    tts = await engine(Stage.TTS, "flite")
    stt = await engine(Stage.STT, "pocketsphinx")
    wrong = wrong_live = total = 0
    for sentence in SENTENCES:
        clip = await tts.synthesize(sentence, voice=None, speed=1.0)
        wrong += word_errors(sentence, (await stt.transcribe(clip, language="en", prompt="")).text)
        wrong_live += word_errors(sentence, (await as_it_arrives(stt, clip)).text)
        total += len(sentence.split())
    assert wrong / total <= 0.25
    assert wrong_live / total <= wrong / total + 0.1


@pytest.mark.embedded
async def test_pocketsphinx_says_which_language_it_hears(engine):
    stt = await engine(Stage.STT, "pocketsphinx")
    with pytest.raises(EngineError, match="English") as caught:
        await stt.transcribe(Audio(np.zeros(1_600, np.float32), 16_000), language="de", prompt="")
    assert caught.value.code is ErrorCode.BAD_REQUEST
