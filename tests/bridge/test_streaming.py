"""Answers that are told while the run goes on, by a real server, on a stand-in for the agent."""

import asyncio
import base64
import io
import json
import struct
import wave
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

import bridge.streaming
from agent.client import AudioChunk, NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.reply import AudioBody, Reply
from agent.contract.terms import AudioFormat, ReplyMode, Status
from tests.bridge.conftest import serving
from tests.bridge.fakes import failed_reply

pytestmark = pytest.mark.anyio

SSE = {"Accept": "text/event-stream"}
WAV = {"Accept": "audio/wav"}
HEARD = {"text": "Hi", "stream": {"audio": True}}


def event(seq, kind, **fields):
    return Event(type=kind, id="r1", seq=seq, t_ms=1.5, **fields)


def done(**fields):
    return Reply(id="r1", status=Status.OK, agent="orin", **fields)


def ahead(chunks):
    return AudioBody(sample_rate=8_000, duration_ms=1, chunks=chunks)


def wav(samples, rate=8_000):
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples)
    return file.getvalue()


@dataclass
class Told:
    """One server-sent event."""

    name: str
    number: str | None
    data: dict[str, Any]

    @classmethod
    async def all(cls, answer):
        """Each as it arrives; comments are None."""
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.strip()
            elif fields:
                yield cls(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}
            elif line:
                yield None


@pytest.fixture
async def asking(port):
    """An HTTP client of a real server."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield client


def stream(client, body, headers, **options):
    return client.stream("POST", "/v1/ask", json=body, headers=headers, **options)


async def test_events_are_told_as_they_happen(asking, agent):
    agent.parts.put_nowait(event(0, EventType.ACCEPTED))
    async with stream(asking, {"text": "Hi"}, {**SSE, "Idempotency-Key": "r1"}) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert (answer.headers["X-Accel-Buffering"], answer.headers["EdgeVoice-Id"]) == ("no", "r1")
        told = Told.all(answer)
        assert (await anext(told)).name == "accepted"
        agent.parts.put_nowait(event(3, EventType.TOKEN, delta="Hel\nlo"))
        assert await anext(told) == Told(
            "token", "3", {"type": "token", "id": "r1", "seq": 3, "t_ms": 1.5, "delta": "Hel\nlo"}
        )
        agent.parts.put_nowait(done(text="Hello"))
        last = await anext(told)
        assert (last.name, last.number, last.data["text"]) == ("reply", None, "Hello")
        assert [each async for each in told] == []
    [asked] = agent.asked
    assert (asked.id, asked.reply_mode, asked.stream.text, asked.stream.audio) == ("r1", ReplyMode.TEXT, True, False)


@pytest.mark.parametrize("chunk_first", [True, False])
async def test_a_chunk_and_its_event_are_told_as_one(http, agent, chunk_first):
    parts = [AudioChunk(0, b"sound"), event(5, EventType.AUDIO, chunk=0, bytes=5, text="Hello.")]
    between = event(4, EventType.TOKEN, delta="x")
    first, second = parts if chunk_first else parts[::-1]
    for part in (first, between, second, done()):
        agent.parts.put_nowait(part)
    async with stream(http, HEARD, SSE) as answer:
        token, audio, reply = [each async for each in Told.all(answer)]
    assert (token.name, audio.name, reply.name) == ("token", "audio", "reply")
    assert audio.number == "5"
    assert base64.b64decode(audio.data.pop("data")) == b"sound"
    assert audio.data == {
        "type": "audio", "id": agent.asked[0].id, "seq": 5, "t_ms": 1.5, "chunk": 0, "bytes": 5, "text": "Hello."
    }  # fmt: skip
    assert agent.asked[0].reply_mode is ReplyMode.BOTH


async def test_a_chunk_whose_event_was_left_out(http, agent):
    for number in range(3):
        agent.parts.put_nowait(AudioChunk(number, b"sound"))
    agent.parts.put_nowait(event(9, EventType.AUDIO, chunk=1, bytes=5))
    agent.parts.put_nowait(done())
    async with stream(http, HEARD, SSE) as answer:
        told = [each async for each in Told.all(answer)]
    assert [(each.name, each.data.get("chunk")) for each in told] == [
        ("audio", 0), ("audio", 1), ("audio", 2), ("reply", None)
    ]  # fmt: skip


async def test_speech_without_events_is_not_held_back(asking, agent):
    agent.parts.put_nowait(AudioChunk(0, b"sound"))
    async with stream(asking, {"text": "Hi", "stream": {"audio": True, "text": False}}, SSE) as answer:
        told = Told.all(answer)
        assert (await anext(told)).data["bytes"] == 5
        agent.parts.put_nowait(done())
        assert (await anext(told)).name == "reply"


async def test_silence_is_told_as_a_comment(asking, agent, monkeypatch):
    monkeypatch.setattr(bridge.streaming, "SILENCE_S", 0.02)
    agent.parts.put_nowait(event(0, EventType.ACCEPTED))
    async with stream(asking, {"text": "Hi"}, SSE) as answer:
        lines = answer.aiter_lines()
        while await anext(lines) != ":":
            pass
        agent.parts.put_nowait(done())
        assert "event: reply" in [line async for line in lines]


EXPIRED = failed_reply(ContractError(ErrorCode.EXPIRED, "too late"), Status.EXPIRED)
FAILURES = [
    (EXPIRED, 408, "expired"),
    (ContractError(ErrorCode.AGENT_OFFLINE, "gone"), 503, "agent_offline"),
    (NoReply("r1", 61.0), 504, "expired"),
]


@pytest.mark.parametrize("headers", [SSE, WAV])
@pytest.mark.parametrize("failure", FAILURES)
async def test_what_fails_before_anything_is_told_is_a_problem(http, agent, headers, failure):
    failed, status, code = failure
    agent.parts.put_nowait(failed)
    answer = await http.post("/v1/ask", json=HEARD, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("failed", "code"), [(failed, code) for failed, _, code in FAILURES])
async def test_what_fails_later_is_the_reply(http, agent, failed, code):
    agent.parts.put_nowait(event(0, EventType.ACCEPTED))
    agent.parts.put_nowait(failed)
    answer = await http.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=SSE)
    told = json.loads(answer.text.split("event: reply\ndata: ")[1])
    assert (told["id"], told["error"]["code"], told["agent"]) == ("r1", code, "orin")
    assert answer.status_code == 200


async def test_a_stored_reply_is_all_that_is_told(http, agent):
    agent.parts.put_nowait(done(text="Hello", replayed=True))
    async with stream(http, {"text": "Hi"}, SSE) as answer:
        assert [(each.name, each.data["replayed"]) async for each in Told.all(answer)] == [("reply", True)]


async def test_speech_begins_with_its_first_sentence(asking, agent):
    agent.parts.put_nowait(event(0, EventType.LLM_START))
    agent.parts.put_nowait(AudioChunk(0, wav(b"one ")))
    async with stream(asking, HEARD, WAV) as answer:
        assert answer.headers["Content-Type"] == "audio/wav"
        assert "Content-Length" not in answer.headers
        pieces = answer.aiter_raw()
        heard = await anext(pieces)
        assert (heard[:4], heard[4:8], heard[40:44], heard[44:]) == (b"RIFF", b"\xff" * 4, b"\xff" * 4, b"one ")
        assert struct.unpack("<I", heard[24:28]) == (8_000,)
        agent.parts.put_nowait(AudioChunk(1, wav(b"two ")))
        assert await anext(pieces) == b"two "
        agent.parts.put_nowait(done(audio=ahead(2)))
        assert b"".join([piece async for piece in pieces]) == b""
    [asked] = agent.asked
    assert (asked.reply_mode, asked.stream.text, asked.stream.audio) == (ReplyMode.AUDIO, False, True)


async def test_speech_breaks_off_where_the_run_fails(asking, agent, caplog):
    agent.parts.put_nowait(AudioChunk(0, wav(b"one ")))
    agent.parts.put_nowait(failed_reply(ContractError(ErrorCode.TTS_FAILED, "no voice")))
    with pytest.raises(httpx.RemoteProtocolError):
        await asking.post("/v1/ask", json=HEARD, headers=WAV)
    assert "breaks off: tts_failed" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("second", [b"no wave", wav(b"two ", rate=16_000)])
async def test_speech_breaks_off_at_a_chunk_that_does_not_belong_there(asking, agent, second):
    agent.parts.put_nowait(AudioChunk(0, wav(b"one ")))
    agent.parts.put_nowait(AudioChunk(1, second))
    with pytest.raises(httpx.RemoteProtocolError):
        await asking.post("/v1/ask", json=HEARD, headers=WAV)


@pytest.mark.parametrize("number", [0, 2])
async def test_speech_breaks_off_where_a_chunk_is_lost_on_its_way(asking, agent, number):
    agent.parts.put_nowait(AudioChunk(0, wav(b"one ")))
    if number:
        agent.parts.put_nowait(AudioChunk(number, wav(b"three ")))
    agent.parts.put_nowait(done(audio=ahead(3)))
    with pytest.raises(httpx.RemoteProtocolError):
        await asking.post("/v1/ask", json=HEARD, headers=WAV)


@pytest.mark.parametrize(
    ("accept", "told_as", "kind"),
    [
        ("audio/pcm", "audio/pcm;rate=16000;channels=1", AudioFormat.PCM),
        ("audio/ogg", "audio/ogg", AudioFormat.OPUS),
        ("audio/wav", "audio/wav", AudioFormat.WAV),
    ],
)
async def test_speech_that_comes_whole_in_each_format(http, agent, accept, told_as, kind):
    audio = AudioBody(data=base64.b64encode(b"sound").decode(), sample_rate=16_000, duration_ms=1, format=kind)
    agent.outcome = done(audio=audio)
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers={"Accept": accept})
    assert (answer.headers["Content-Type"], answer.content, answer.headers["Content-Length"]) == (
        told_as,
        b"sound",
        "5",
    )
    assert agent.asked[0].tts.format is kind
    assert agent.asked[0].stream is None


async def test_bare_samples_say_their_rate(http, agent):
    agent.parts.put_nowait(AudioChunk(0, b"\0\0", "audio/pcm;rate=22050;channels=1"))
    agent.parts.put_nowait(done(audio=ahead(1)))
    answer = await http.post("/v1/ask", json=HEARD, headers={"Accept": "audio/pcm"})
    assert (answer.headers["Content-Type"], answer.content) == ("audio/pcm;rate=22050;channels=1", b"\0\0")


async def test_speech_of_which_nothing_is_left(http, agent):
    agent.parts.put_nowait(done(replayed=True, audio=ahead(2)))
    answer = await http.post("/v1/ask", json=HEARD, headers=WAV)
    assert (answer.status_code, answer.json()["reason"]) == (409, "speech_not_kept")


@pytest.mark.parametrize(
    ("accept", "body", "told_as"),
    [
        ("*/*", {"stream": {"audio": True}}, "application/json"),
        ("*/*", {"stream": {"audio": True}, "reply_mode": "audio"}, "audio/wav"),
        ("*/*", {"stream": {"audio": True}, "reply_mode": "audio", "tts": {"format": "opus"}}, "audio/ogg"),
        ("application/json", {"stream": {"audio": True}, "reply_mode": "audio"}, "application/json"),
        ("audio/*", {"tts": {"format": "pcm_s16le"}}, "audio/pcm"),
        ("audio/wav", {"tts": {"format": "opus"}}, None),
        ("audio/ogg", {"tts": {"format": "wav"}}, None),
        ("text/event-stream", {"tts": {"format": "opus"}}, "text/event-stream"),
        ("text/event-stream", {"reply_mode": "text"}, "text/event-stream"),
    ],
)
async def test_what_is_asked_decides_the_form(http, agent, accept, body, told_as):
    sound = {"audio/ogg": None, "audio/pcm": b"\0\0"}.get(told_as, wav(b"one "))
    kind = next((kind for kind in AudioFormat if kind.media_type == told_as), AudioFormat.WAV)
    whole = AudioBody(data=base64.b64encode(sound or b"").decode(), sample_rate=8_000, duration_ms=1, format=kind)
    agent.outcome = done(audio=whole)
    agent.parts.put_nowait(agent.outcome)
    answer = await http.post("/v1/ask", json={"text": "Hi", **body}, headers={"Accept": accept})
    if told_as is None:
        assert answer.status_code == 406
        assert not agent.asked
    else:
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, told_as)


async def test_fields_of_forms_and_of_the_query(http, agent):
    agent.parts.put_nowait(done())
    url = "/v1/ask?stream.text=false&stream.audio=true&stream.chunk_bytes=4096&barge_in=true"
    await http.post(url, content="Hi", headers={**SSE, "Content-Type": "text/plain"})
    [asked] = agent.asked
    assert (asked.stream.text, asked.stream.audio, asked.stream.chunk_bytes) == (False, True, 4_096)
    assert asked.barge_in


async def test_events_cannot_be_the_answer_to_who_does_not_wait(http, agent):
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers={**SSE, "Prefer": "respond-async"})
    assert answer.status_code == 406
    assert not agent.asked


@pytest.mark.parametrize("headers", [SSE, WAV])
async def test_hanging_up_stops_the_run_and_gives_the_place_back(asking, agent, settings, headers):
    for number in range(settings.max_waiting + 1):
        agent.parts.put_nowait(event(0, EventType.ACCEPTED) if headers is SSE else AudioChunk(0, wav(b"one ")))
        async with stream(asking, {**HEARD, "id": f"r{number}"}, headers) as answer:
            await anext(answer.aiter_raw())
        assert await agent.cancelled.get() == f"r{number}"


async def test_hanging_up_before_anything_is_told(port, agent):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        asking = asyncio.create_task(client.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=SSE))
        await agent.was_asked.acquire()
        asking.cancel()
        assert await agent.cancelled.get() == "r1"


async def test_streams_take_places(http, agent, settings):
    waiting = [
        asyncio.create_task(http.post("/v1/ask", json={"text": "Hi"}, headers=SSE)) for _ in range(settings.max_waiting)
    ]
    for _ in waiting:
        await agent.was_asked.acquire()
    refused = await http.post("/v1/ask", json={"text": "Hi"}, headers=SSE)
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    for _ in waiting:
        agent.parts.put_nowait(done())
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_who_reads_nothing_is_taken_for_gone(port, agent, monkeypatch):
    monkeypatch.setattr(bridge.streaming, "_SLOWEST_READ_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
    writer.write(
        b"POST /v1/ask?stream.audio=true&stream.text=false HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        b"Content-Type: text/plain\r\nIdempotency-Key: r1\r\nContent-Length: 2\r\n\r\nHi"
    )
    for number in range(20):
        agent.parts.put_nowait(AudioChunk(number, bytes(1_000_000)))
    assert await agent.cancelled.get() == "r1"
    assert not agent.parts.empty()
    writer.close()
    assert reader


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("headers", [SSE, WAV])
async def test_a_bridge_that_stops_says_so(settings, agent, headers, begun, caplog):
    async with serving(settings, agent, grace_s=0) as (server, port), httpx.AsyncClient() as client:
        if begun:
            agent.parts.put_nowait(event(0, EventType.ACCEPTED) if headers is SSE else AudioChunk(0, wav(b"one ")))
        asking = asyncio.create_task(client.post(f"http://127.0.0.1:{port}/v1/ask", json=HEARD, headers=headers))
        await agent.was_asked.acquire()
        while begun and not agent.parts.empty():
            await asyncio.sleep(0.01)
        server.should_exit = True
        if begun and headers is WAV:
            with pytest.raises(httpx.RemoteProtocolError):
                await asking
        else:
            answer = await asking
            told = json.loads(answer.text.split("event: reply\ndata: ")[1])["error"] if begun else answer.json()
            assert (told["code"], told["reason"]) == ("busy", "stopping")
    assert agent.cancelled.empty()  # its run goes on
    assert "Traceback" not in caplog.text
