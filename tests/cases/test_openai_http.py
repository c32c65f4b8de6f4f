"""OpenAI's own client, sync and async, against the real bridge, agent and broker."""

import asyncio
import base64
import io
import json
import uuid
from typing import Any

import httpx
import openai
import pytest
import soundfile

from agent.engines.settings import EngineSettings
from agent.stack import Stack, StackSettings
from tests.cases.conftest import HEARD
from tests.security.conftest import make_key
from tests.wav_files import sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

HI: Any = [{"role": "user", "content": "Hi there"}]
SPOKEN: Any = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


def options(stack, **changes):
    return {"base_url": f"{stack.url}/v1", "api_key": "none", "max_retries": 0, "timeout": 20, **changes}


@pytest.fixture
def client(stack):
    with openai.OpenAI(**options(stack)) as client:
        yield client


@pytest.fixture
async def async_client(stack):
    async with openai.AsyncOpenAI(**options(stack)) as client:
        yield client


def clip():
    return {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(wav(sine(seconds=0.5))).decode(), "format": "wav"},
    }


def test_an_answer(client):
    answer = client.chat.completions.create(model="default", messages=HI, user="ada", store=False)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "You said: Hi there")
    assert (choice.finish_reason, answer.model) == ("stop", "template")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id == answer.id.removeprefix("chatcmpl-")


async def test_an_answer_async(async_client):
    answer = await async_client.chat.completions.create(model="poet", messages=HI)
    assert (answer.choices[0].message.content, answer.model) == ("A rose is a", "poet")


def test_it_ends_where_it_is_told_to(client):
    answer = client.chat.completions.create(model="", messages=HI, max_completion_tokens=2)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("You said:", "length")
    answer = client.chat.completions.create(model="", messages=HI, stop=["there", " said"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("You", "stop")
    answer = client.chat.completions.create(model="", messages=HI, stop="You")
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("", "stop")


def test_how_it_picks_its_words(client):
    asked: Any = {"n": 1, "seed": 7, "temperature": 0, "top_p": 0.9, "frequency_penalty": 0.5, "presence_penalty": -0.5}
    answer = client.chat.completions.create(model="", messages=HI, **asked)
    assert [choice.message.content for choice in answer.choices] == ["You said: Hi there"]


def test_a_stream(client):
    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="default", messages=HI, stream=True, stream_options=usage))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[0].choices[0].delta.role) == ("You said: Hi there", "assistant")
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 4)


async def test_a_stream_async(async_client):
    stream = await async_client.chat.completions.create(model="default", messages=HI, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: Hi there"
    assert all(chunk.usage is None for chunk in chunks)


def test_the_clients_own_helper_for_streams(client):
    with client.chat.completions.stream(model="default", messages=HI) as stream:
        assert stream.get_final_completion().choices[0].message.content == "You said: Hi there"


def test_a_spoken_question(client):
    answer = client.chat.completions.create(model="default", messages=[{"role": "user", "content": [clip()]}])
    assert answer.choices[0].message.content == f"You said: {HEARD}"


def test_a_spoken_question_in_a_conversation(client):
    typed = {"type": "text", "text": "What is this?"}
    messages = [*HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": [typed, clip()]}]
    answer = client.chat.completions.create(model="default", messages=messages)
    assert answer.choices[0].message.content == f"You said: What is this?\n\n{HEARD}"


def test_a_spoken_answer(client):
    answer = client.chat.completions.create(model="default", messages=HI, **SPOKEN)
    audio = answer.choices[0].message.audio
    assert audio.transcript == "You said: Hi there"
    assert audio.expires_at > answer.created
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(audio.data)))
    assert len(samples) / rate > 0.5


def test_a_spoken_answer_as_it_comes(client):
    asked = {**SPOKEN, "audio": {"voice": "alloy", "format": "pcm16"}}
    chunks = client.chat.completions.create(model="default", messages=HI, stream=True, **asked)
    deltas = [chunk.model_dump()["choices"][0]["delta"] for chunk in chunks]  # older clients have no type for `audio`
    told = [delta["audio"] for delta in deltas if delta.get("audio")]
    assert "".join(part.get("transcript") or "" for part in told) == "You said: Hi there"
    speech = b"".join(base64.b64decode(part.get("data") or "") for part in told)
    assert len(speech) / 2 / 24_000 > 0.5


@pytest.mark.parametrize("kind", ["mp3", "flac"])
def test_a_spoken_answer_that_is_written_in_the_bridge(client, kind):
    asked = {**SPOKEN, "audio": {"voice": "alloy", "format": kind}}
    audio = client.chat.completions.create(model="default", messages=HI, **asked).choices[0].message.audio
    assert soundfile.info(io.BytesIO(base64.b64decode(audio.data))).format == kind.upper()


@pytest.mark.parametrize("kind", ["wav", "pcm", "opus", "mp3", "flac"])
def test_a_text_that_is_spoken(client, kind):
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Good morning!", response_format=kind)
    raw: Any = {"format": "RAW", "subtype": "PCM_16", "channels": 1, "samplerate": 24_000} if kind == "pcm" else {}
    samples, rate = soundfile.read(io.BytesIO(speech.read()), **raw)
    assert len(samples) / rate == pytest.approx(
        len("Good morning!") * 0.06, abs=0.15
    )  # MP3 has a frame before and after


async def test_what_cannot_be_spoken(async_client):
    with pytest.raises(openai.BadRequestError) as caught:
        await async_client.audio.speech.create(model="tts-1", voice="alloy", input="Hi", response_format="aac")
    assert caught.value.param == "response_format"
    assert "wav, opus, mp3, flac, pcm, not 'aac'" in caught.value.message


def test_a_clip_that_is_written_down(client):
    def heard(**form):
        file = ("clip.wav", wav(sine(seconds=0.5)))
        return client.audio.transcriptions.create(model="whisper-1", file=file, **form)

    assert heard().text == HEARD
    assert heard(response_format="text") == f"{HEARD}\n"
    assert heard(response_format="srt").startswith("1\n00:00:00,000 --> 00:00:00,")
    assert heard(response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 --> ")
    verbose = heard(response_format="verbose_json")
    assert (verbose.text, verbose.language) == (HEARD, "en")
    assert float(verbose.duration) == 0.5


async def test_a_clip_that_is_none(async_client):
    with pytest.raises(openai.APIStatusError) as caught:
        await async_client.audio.transcriptions.create(model="whisper-1", file=("clip.wav", b"no sound"))
    error: Any = caught.value.body
    assert (caught.value.status_code, error["param"]) == (415, "file")


def test_the_models(client):
    assert [model.id for model in client.models.list()] == ["default", "parrot", "poet", "giant", "template"]
    assert client.models.retrieve("poet").owned_by == "orin"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4o")
    assert caught.value.code == "model_not_found"


def test_a_model_that_there_is_not(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HI)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"temperature": 9}, "temperature"),
    ],
)
def test_what_is_refused(client, fields, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="default", messages=HI, **fields)
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", param)
    assert caught.value.request_id


async def test_errors_async(async_client):
    with pytest.raises(openai.BadRequestError) as caught:
        await async_client.chat.completions.create(model="default", messages=HI, n=3, stream=True)
    assert caught.value.param == "n"
    with pytest.raises(openai.InternalServerError) as failed:  # 503
        await async_client.chat.completions.create(model="giant", messages=HI)
    assert failed.value.code == "model_not_ready"


def test_the_path_and_the_array_of_old(stack):
    with httpx.Client(base_url=stack.url, timeout=20) as http:
        whole = http.post("/chat/completions", json={"model": "google/gemma-2b", "messages": HI})
        assert (whole.status_code, whole.json()["error"]["code"]) == (404, "model_not_found")
        array = http.post("/chat/completions?format=messages", json={"messages": HI}).json()
    assert array == [{"role": "assistant", "content": "You said: Hi there"}]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions"])
def test_a_get_as_ab_sends_it(stack, path):
    with httpx.Client(base_url=stack.url, timeout=5) as http:
        answer = http.get(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "ab -p body.json" in answer.json()["error"]["message"]


def test_speech_of_before_is_given_as_its_words(client):
    spoken: Any = {"role": "assistant", "audio": {"id": "audio_1"}}
    with pytest.raises(openai.BadRequestError, match="give its transcript as content") as caught:
        client.chat.completions.create(model="default", messages=[*HI, spoken, *HI])
    assert caught.value.param == "messages[1].audio"


@pytest.fixture(scope="module")
async def guarded(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A language model that takes its time, behind a bridge of two workers that needs a key."""
    slow = EngineSettings(name="scripted", options={"answer": "one two three four five", "piece_delay_s": 0.3})
    settings = StackSettings.scripted(llm=slow, environment={"EDGEVOICE_BRIDGE_WORKERS": "2"})
    async with Stack(settings) as running:
        yield running, make_key(running, "ada")


def test_a_wrong_key(guarded):
    stack, _ = guarded
    with (
        openai.OpenAI(**options(stack, api_key="sk-wrong")) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="default", messages=HI)
    assert caught.value.code == "invalid_api_key"


async def outcome(stack, key, name):
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers) as http:
        for _ in range(40):
            found = (await http.get(f"/v1/requests/{name}")).json()
            if found.get("state") == "done":
                return found["reply"]
            await asyncio.sleep(0.3)
    raise AssertionError(json.dumps(found))


@pytest.mark.parametrize("streamed", [True, False])
async def test_hanging_up_stops_the_run(guarded, streamed):
    stack, key = guarded
    name = uuid.uuid4().hex
    asked: Any = {"model": "default", "messages": HI, "extra_headers": {"Idempotency-Key": name}}
    async with openai.AsyncOpenAI(**options(stack, api_key=key)) as client:
        if streamed:
            async with await client.chat.completions.create(**asked, stream=True) as stream:
                await anext(aiter(stream))
        else:
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(**asked, timeout=0.5)
    assert (await outcome(stack, key, name))["status"] == "cancelled"


async def test_the_same_key_again_is_the_same_answer(guarded):
    stack, key = guarded
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    async with openai.AsyncOpenAI(**options(stack, api_key=key)) as client:
        ask = [client.chat.completions.create(model="", messages=HI, extra_headers=headers) for _ in range(3)]
        answers = await asyncio.gather(*ask)
    assert {answer.choices[0].message.content for answer in answers} == {"one two three four five"}
    assert len({answer.id for answer in answers}) == 1
