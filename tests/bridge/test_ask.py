"""`POST /v1/ask` in all its forms, on a stand-in for the agent."""

import asyncio
import base64
from urllib.parse import unquote

import pytest

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import ReplyMode, Status
from tests.bridge.conftest import calling
from tests.bridge.fakes import WAV_BASE64, failed_reply

pytestmark = pytest.mark.anyio

WAV = base64.b64decode(WAV_BASE64)
SPOKEN = {"Content-Type": "audio/wav"}


async def test_json_is_the_envelope(http, agent):
    answer = await http.post("/v1/ask", json={"id": "r1", "text": "Hi", "params": {"temperature": 0.5}})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["EdgeVoice-Id"] == answer.json()["id"] == "r1"
    assert answer.json()["text"] == "Hi!"
    assert agent.asked[0].params.temperature == 0.5


async def test_plain_text(http, agent):
    answer = await http.post("/v1/ask", content="Grüß Gott".encode(), headers={"Content-Type": "text/plain"})
    assert answer.json()["text"] == "Grüß Gott!"
    assert agent.asked[0].reply_mode is ReplyMode.TEXT


@pytest.mark.parametrize("media_type", ["audio/wav", "audio/x-wav", "audio/ogg; codecs=opus"])
async def test_raw_audio_goes_to_the_agent_as_base64(http, agent, media_type):
    answer = await http.post("/v1/ask", content=WAV, headers={"Content-Type": media_type})
    assert answer.json()["transcript"]["text"] == "what was heard"
    assert agent.asked[0].audio == WAV_BASE64


async def test_multipart_with_fields(http, agent):
    fields = {"reply_mode": "both", "language": "de", "session_id": "s1", "deadline_ms": "5000", "tts.speed": "1.5"}
    answer = await http.post("/v1/ask", files={"file": ("clip.wav", WAV, "audio/wav")}, data=fields)
    assert answer.status_code == 200
    asked = agent.asked[0]
    assert (asked.audio, asked.language, asked.session_id, asked.deadline_ms) == (WAV_BASE64, "de", "s1", 5_000)
    assert asked.tts.speed == 1.5
    assert answer.json()["audio"]["data"] == WAV_BASE64


async def test_query_parameters_fill_what_the_body_cannot_say(http, agent):
    await http.post("/v1/ask?reply_mode=both&tts.voice=anna", content=WAV, headers=SPOKEN)
    assert agent.asked[0].reply_mode is ReplyMode.BOTH
    assert agent.asked[0].tts.voice == "anna"


async def test_speech_is_answered_as_a_wav_file_where_accept_asks_for_it(http, agent):
    answer = await http.post("/v1/ask", content=WAV, headers={**SPOKEN, "Accept": "audio/wav"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.content == WAV
    assert unquote(answer.headers["EdgeVoice-Text"]) == "Grüße!"
    assert unquote(answer.headers["EdgeVoice-Transcript"]) == "what was heard"
    assert answer.headers["EdgeVoice-Id"] == agent.asked[0].id
    assert agent.asked[0].reply_mode is ReplyMode.AUDIO


async def test_a_text_too_long_for_a_header_is_left_out(http):
    answer = await http.post("/v1/ask", json={"text": "ü" * 1_000}, headers={"Accept": "audio/wav"})
    assert answer.content == WAV
    assert "EdgeVoice-Text" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("image/png", {"text": "Hi"}),
        ("audio/wav;q=0", {"text": "Hi"}),
        ("audio/wav", {"text": "Hi", "reply_mode": "text"}),
    ],
)
async def test_nothing_acceptable(http, agent, accept, body):
    answer = await http.post("/v1/ask", json=body, headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "bad_request"
    assert "can be application/json" in answer.json()["detail"]
    assert not agent.asked


async def test_idempotency_key_is_the_id(http, agent):
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers={"Idempotency-Key": "key-1"})
    assert answer.json()["id"] == agent.asked[0].id == "key-1"


async def test_an_id_is_made_up(http):
    first, second = [(await http.post("/v1/ask", json={"text": "Hi"})).json()["id"] for _ in range(2)]
    assert first != second


async def test_the_deadline_is_the_callers_or_ours_and_never_past_the_agents(http, agent, settings):
    for body in ({}, {"deadline_ms": 7_000}, {"deadline_ms": 10**400}):
        await http.post("/v1/ask", json={"text": "Hi", **body})
    assert [asked.deadline_ms for asked in agent.asked] == [settings.deadline_ms, 7_000, 90_000]


JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nHi\r\n'


@pytest.mark.parametrize(
    "bad",
    [
        (b"{", JSON, "", 400, None),
        (b'{"txt":"Hi"}', JSON, "", 400, "txt"),
        (b'{"text":"Hi","reply_mode":"song"}', JSON, "", 400, "reply_mode"),
        (b'{"text":"Hi"}', {**JSON, "Idempotency-Key": "a/b"}, "", 400, "Idempotency-Key"),
        (b'{"id":"a","text":"Hi"}', {**JSON, "Idempotency-Key": "b"}, "", 400, "id"),
        (b"\xff", TEXT, "", 400, "text"),
        (b"Hi", TEXT, "?deadline_ms=soon", 400, "deadline_ms"),
        (b"Hi", TEXT, "?text=Ho", 400, "text"),
        (b"Hi", TEXT, "?language=de&language=en", 400, "language"),
        (b"Hi", TEXT, "?tts=x&tts.voice=y", 400, "tts.voice"),
        (b"Hi", TEXT, "?" + "tts." * 5_000 + "voice=y", 400, ("tts." * 5_000)[:100]),
        (b"Hi", {**TEXT, "Content-Encoding": "gzip"}, "", 415, "Content-Encoding"),
        (b"", SPOKEN, "", 400, "audio"),
        (b"Hi", {"Content-Type": "application/x-www-form-urlencoded"}, "", 415, "Content-Type"),
        (b"Hi", {}, "", 415, "Content-Type"),
        (b"no parts", {"Content-Type": "multipart/form-data"}, "", 400, None),
        (b"no parts--", FORM, "", 400, None),
        (PART, FORM, "", 400, None),
        (PART + PART + b"--x--", FORM, "", 400, "text"),
        (PART.replace(b"text", b"txt") + b"--x--", FORM, "", 400, "txt"),
    ],
)
async def test_bad_requests_are_problems_that_name_the_field(http, agent, bad):
    body, headers, query, status, field = bad
    answer = await http.post(f"/v1/ask{query}", content=body, headers=headers)
    assert answer.status_code == status
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["code"] == ("bad_request" if status == 400 else "unsupported_media")
    assert problem.get("field") == field
    assert not agent.asked


async def test_a_file_under_another_name(http):
    answer = await http.post("/v1/ask", files={"clip": ("clip.wav", WAV, "audio/wav")})
    assert answer.status_code == 400
    assert "`file`" in answer.json()["detail"]


async def test_one_file_only(http):
    files = [("file", ("a.wav", WAV)), ("file", ("b.wav", WAV))]
    assert (await http.post("/v1/ask", files=files)).status_code == 400


async def test_a_failed_run_keeps_what_was_produced(http, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.TTS_FAILED, "no voice"), text="the answer")
    answer = await http.post("/v1/ask", json={"text": "Hi"})
    assert answer.status_code == 500
    problem = answer.json()
    assert (problem["code"], problem["id"], problem["retriable"]) == ("tts_failed", "r1", True)
    assert problem["reply"]["text"] == "the answer"
    assert "error" not in problem["reply"]


async def test_an_expired_run(http, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.EXPIRED, "too late"), Status.EXPIRED)
    answer = await http.post("/v1/ask", json={"text": "Hi"})
    assert answer.status_code == 408
    assert "reply" not in answer.json()


async def test_silence_is_a_gateway_timeout_with_the_id(http, agent):
    agent.outcome = NoReply("r1", 61.0)
    answer = await http.post("/v1/ask", json={"id": "r1", "text": "Hi"})
    assert answer.status_code == 504
    assert (answer.json()["id"], answer.json()["retriable"]) == ("r1", True)


async def test_an_agent_that_is_offline(http, agent):
    agent.outcome = ContractError(ErrorCode.AGENT_OFFLINE, "not online", retry_after_ms=2_500)
    answer = await http.post("/v1/ask", json={"text": "Hi"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "3"
    assert answer.json()["retry_after_ms"] == 2_500


async def test_a_fault_of_our_own_is_told_without_its_insides(http, agent):
    agent.outcome = RuntimeError("secret")
    answer = await http.post("/v1/ask", json={"text": "Hi"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text


async def test_too_many_callers(http, agent, settings):
    agent.answers.clear()
    waiting = [asyncio.create_task(http.post("/v1/ask", json={"text": "Hi"})) for _ in range(settings.max_waiting)]
    for _ in waiting:
        await agent.was_asked.acquire()
    refused = await http.post("/v1/ask", json={"text": "Hi"})
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert refused.headers["Retry-After"] == "1"
    agent.answers.set()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * settings.max_waiting
    assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 200


async def test_get_says_what_to_do_instead(http):
    answer = await http.get("/v1/ask")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["code"] == "method_not_allowed"
    assert "POST" in answer.json()["detail"]


async def test_nobody_from_outside_is_answered_without_keys(settings, agent):
    async with calling(settings, agent, base_url="http://192.0.2.1") as http:
        answer = await http.post("/v1/ask", json={"text": "Hi"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert not agent.asked
        assert (await http.get("/healthz")).status_code == 200


async def test_unless_the_operator_says_so(settings, agent):
    open_to_all = settings.model_copy(update={"allow_unauthenticated": True})
    async with calling(open_to_all, agent, base_url="http://192.0.2.1") as http:
        assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Host": "127.0.0.1:8080"}, None),
        ({"Host": "LOCALHOST"}, None),
        ({"Host": "[::1]:8080"}, None),
        ({"Host": "voice.example"}, None),
        ({"Host": "evil.example:8080"}, "foreign_host"),
        ({"Host": "127.0.0.1.evil.example"}, "foreign_host"),
        ({"Host": "[evil"}, "foreign_host"),
        ({"Host": ""}, "foreign_host"),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, None),
        ({"Host": "127.0.0.1", "Origin": "https://voice.example"}, None),
        ({"Origin": "https://evil.example"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
    ],
)
async def test_web_pages_of_others_are_refused(settings, agent, headers, reason):
    behind_a_proxy = settings.model_copy(update={"allowed_hosts": ("Voice.example",)})
    async with calling(behind_a_proxy, agent) as http:
        answer = await http.post("/v1/ask", content="Hi", headers={"Content-Type": "text/plain", **headers})
    assert answer.status_code == (403 if reason else 200)
    assert answer.json().get("reason") == reason
    assert bool(agent.asked) is (reason is None)
    assert not reason or "EDGEVOICE_BRIDGE_ALLOWED_HOSTS" in answer.json()["detail"]
