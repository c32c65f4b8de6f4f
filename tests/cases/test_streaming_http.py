"""Hearing an answer over HTTP while it is being written: httpx and curl, through bridge, broker and agent."""

import io
import json
import subprocess
import uuid

import httpx
import pytest
import soundfile

from agent.audio import decode_wav
from agent.engines.settings import EngineSettings
from agent.stack import Stack, StackSettings

pytestmark = [pytest.mark.anyio, pytest.mark.once]

SENTENCES = ("The first one is here already.", "The second one is still to come!")
ANSWER = " ".join(SENTENCES)
SPEECH_S = sum(map(len, SENTENCES)) * 0.06
HEARD = {"text": "Tell me", "stream": {"audio": True}}
SSE = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
async def storyteller(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A language model that takes its time."""
    slow = EngineSettings(name="scripted", options={"answer": ANSWER, "piece_delay_s": 0.08})
    async with Stack(StackSettings.scripted(llm=slow)) as running:
        yield running


@pytest.fixture
async def http(storyteller):
    async with httpx.AsyncClient(base_url=storyteller.url, timeout=20) as client:
        yield client


@pytest.fixture
def name():
    return uuid.uuid4().hex


async def told(answer):
    """Each event as it arrives: its name and its data."""
    event = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            yield event, json.loads(value)


async def state(http, name):
    return (await http.get(f"/v1/requests/{name}")).json()["state"]


async def outcome(http, name):
    while (found := (await http.get(f"/v1/requests/{name}")).json())["state"] != "done":
        pass
    return found["reply"]


async def test_events_and_speech(http):
    async with http.stream("POST", "/v1/ask", json=HEARD, headers=SSE) as answer:
        events = [each async for each in told(answer)]
    names = [name for name, _ in events]
    assert names.index("accepted") < names.index("audio") < names.index("llm_end") < names.index("reply")
    assert names[-1] == "reply"
    assert "".join(data["delta"] for name, data in events if name == "token") == events[-1][1]["text"] == ANSWER
    spoken = [data for name, data in events if name == "audio"]
    assert [(data["chunk"], data["text"]) for data in spoken] == list(enumerate(SENTENCES))
    assert events[-1][1]["audio"]["chunks"] == len(SENTENCES)


async def test_a_stored_answer_is_one_event(http, name):
    asked = {"text": "Tell me", "stream": {"text": True}}
    headers = {**SSE, "Idempotency-Key": name}
    for replayed in (False, True):
        async with http.stream("POST", "/v1/ask", json=asked, headers=headers) as answer:
            events = [each async for each in told(answer)]
        assert events[-1][0] == "reply"
        assert events[-1][1]["replayed"] is replayed
    assert len(events) == 1


@pytest.mark.parametrize("accept", ["audio/wav", "audio/ogg", "audio/pcm"])
async def test_speech_begins_while_the_answer_is_written(http, name, accept):
    asked = {**HEARD, "id": name}
    async with http.stream("POST", "/v1/ask", json=asked, headers={"Accept": accept}) as answer:
        media_type, _, parameters = answer.headers["Content-Type"].partition(";")
        pieces = answer.aiter_raw()
        first = await anext(pieces)
        assert await state(http, name) == "running"
        speech = first + b"".join([piece async for piece in pieces])
    assert media_type == accept
    assert not parameters or parameters == "rate=16000;channels=1"
    raw = {"format": "RAW", "subtype": "PCM_16", "channels": 1, "samplerate": 16_000} if parameters else {}
    samples, rate = soundfile.read(io.BytesIO(speech), **raw)
    assert len(samples) / rate == pytest.approx(SPEECH_S, abs=0.1)


def test_curl_plays_along(storyteller, tmp_path):
    out = tmp_path / "answer.wav"
    url = f"{storyteller.url}/v1/ask?stream.audio=true&reply_mode=audio"
    subprocess.run(
        ["curl", "-sSfN", "-H", "Content-Type: text/plain", "-d", "Tell me", "-o", out, url], check=True, timeout=20
    )
    assert decode_wav(out.read_bytes(), max_s=60).duration_s == pytest.approx(SPEECH_S, abs=0.1)


async def test_who_stops_the_answer_says_how_much_was_heard(http, name):
    async with http.stream("POST", "/v1/ask", json={**HEARD, "id": name}, headers=SSE) as answer:
        async for event, data in told(answer):
            if event == "audio":
                await http.delete(f"/v1/requests/{name}?last_seq={data['chunk']}")
            last = data
    assert (event, last["status"], last["heard_text"]) == ("reply", "cancelled", SENTENCES[0])


async def test_speech_that_is_stopped_breaks_off(http, name):
    async with http.stream("POST", "/v1/ask", json={**HEARD, "id": name}, headers={"Accept": "audio/wav"}) as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await http.delete(f"/v1/requests/{name}")
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(pieces)


async def test_hanging_up_stops_the_run(http, name):
    async with http.stream("POST", "/v1/ask", json={**HEARD, "id": name}, headers=SSE) as answer:
        assert (await anext(told(answer)))[0] == "accepted"
    assert (await outcome(http, name))["status"] == "cancelled"


async def test_barging_in(http, name):
    session = {"session_id": name}
    async with http.stream("POST", "/v1/ask", json={**HEARD, **session}, headers=SSE) as answer:
        events = told(answer)
        while (await anext(events))[0] != "audio":
            pass
        after = await http.post("/v1/ask", json={"text": "Wait!", "barge_in": True, **session})
        [*_, (event, reply)] = [each async for each in events]
    assert (event, reply["status"], reply["error"]["reason"]) == ("reply", "cancelled", "barge_in")
    assert after.json()["text"] == ANSWER
