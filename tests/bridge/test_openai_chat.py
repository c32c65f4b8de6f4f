"""`/v1/chat/completions` and its neighbours, on a stand-in for the agent."""

import base64
import io
import json

import pytest
import soundfile

from agent.client import AudioChunk, NoReply
from agent.contract.base64 import encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.presence import EngineInfo
from agent.contract.reply import AudioBody, Reply, Usage
from agent.contract.terms import AudioFormat, FinishReason, Operation, Overflow, ReplyMode, Role, Stage, Status
from agent.keys import new_key, render_keys
from tests.bridge.fakes import INFO, WAV_BASE64, failed_reply

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HI = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
CLIP = {"type": "input_audio", "input_audio": {"data": WAV_BASE64, "format": "wav"}}
SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
USAGE = Usage(prompt_tokens=7, completion_tokens=2)


def asks(**fields):
    return {**HI, **fields}


def says(*messages):
    return asks(messages=list(messages))


def user(content):
    return {"role": "user", "content": content}


def done(**fields):
    return Reply(id="r1", status=Status.OK, agent="orin", **fields)


def event(seq, kind, **fields):
    return Event(type=kind, id="r1", seq=seq, t_ms=1.5, **fields)


def chunks(answer):
    """The objects of a stream, which ends as it should."""
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("path", [CHAT, "/chat/completions"])
async def test_an_answer(http, agent, path):
    agent.outcome = done(text="Hello!", usage=USAGE, finish_reason=FinishReason.LENGTH)
    answer = await http.post(path, json=HI)
    told = answer.json()
    assert (answer.status_code, told["object"], told["model"]) == (200, "chat.completion", "echo")
    assert told["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!", "refusal": None},
            "logprobs": None,
            "finish_reason": "length",
        }
    ]
    assert told["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert told["id"].startswith("chatcmpl-")
    assert answer.headers["X-Request-Id"] == answer.headers["EdgeVoice-Id"]
    [asked] = agent.asked
    assert [(turn.role, turn.content) for turn in asked.messages] == [(Role.USER, "Hi")]
    assert (asked.model, asked.stream, asked.deadline_ms) == (None, None, 60_000)


async def test_parameters(http, agent):
    given = {
        "temperature": 0.5,
        "top_p": 0,
        "max_tokens": 5,
        "max_completion_tokens": 10**9,
        "stop": "END",
        "seed": -1,
        "frequency_penalty": 1,
        "presence_penalty": -1.5,
        "repetition_penalty": 1.1,
        "on_overflow": "error",
    }
    assert (await http.post(CHAT, json=asks(**given))).status_code == 200
    assert agent.asked[0].on_overflow is Overflow.ERROR
    sampling = agent.asked[0].params
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.001, 32_768)
    assert (sampling.stop, sampling.seed) == (("END",), 2**31 - 1)
    assert (sampling.frequency_penalty, sampling.presence_penalty, sampling.repetition_penalty) == (1, -1.5, 1.1)


async def test_what_clients_send_that_means_nothing_here(http):
    more = {
        "user": "ada",
        "store": True,
        "metadata": {"a": "b"},
        "response_format": {"type": "text"},
        "parallel_tool_calls": True,
        "service_tier": "auto",
        "n": 1,
        "tools": [],
        "tool_choice": "none",
        "logprobs": False,
        "logit_bias": {},
        "stop": None,
        "stream": False,
        "stream_options": None,
        "modalities": ["text"],
        "x": 1,
    }
    assert (await http.post(CHAT, json=asks(**more))).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_value"),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"functions": [{}]}, "functions", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_value"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "unsupported_parameter"),
        ({"response_format": {"type": "json_schema"}}, "response_format.type", "unsupported_value"),
        ({"modalities": ["video"]}, "modalities", "unsupported_value"),
        ({**SPOKEN, "audio": {"voice": "alloy", "format": "aac"}}, "audio.format", "unsupported_value"),
        ({**SPOKEN, "stream": True}, "audio.format", "unsupported_value"),
        ({"temperature": 3}, "temperature", "bad_request"),
        ({"on_overflow": "cry"}, "on_overflow", "bad_request"),
        ({"max_tokens": 0}, "max_tokens", "bad_request"),
        ({"stop": ["a", "x" * 65]}, "stop[1]", "bad_request"),
        ({"stop": [1]}, "stop[0]", "bad_request"),
        ({"messages": []}, "messages", "bad_request"),
        ({"messages": [user("Hi"), user("")]}, "messages[1].content", "bad_request"),
        ({"messages": [{"role": "system", "content": " "}]}, "messages", "bad_request"),
        ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0].role", "unsupported_value"),
        ({"messages": [{"role": "wizard", "content": "4"}]}, "messages[0].role", "bad_request"),
        ({"messages": [{"content": "4"}]}, "messages[0].role", "bad_request"),
        ({"messages": [user([{"type": "image_url"}])]}, "messages[0].content[0].type", "unsupported_value"),
        ({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text", "bad_request"),
        ({"messages": [user([CLIP]), user("Hi")]}, "messages[0].content", "unsupported_parameter"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio", "unsupported_parameter"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls", "unsupported_parameter"),
        ({"messages": [user([CLIP, CLIP])]}, "messages[0].content", "unsupported_parameter"),
    ],
)
async def test_what_is_refused_names_the_parameter(http, agent, fields, param, code):
    answer = await http.post(CHAT, json=asks(**fields))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"
    assert answer.headers["X-Should-Retry"] == "false"
    assert not agent.asked


async def test_roles_and_parts(http, agent):
    conversation = (
        {"role": "developer", "content": "Be brief."},
        user([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]),
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "three"},
        {**user("four"), "name": "ada"},
    )
    await http.post(CHAT, json=says(*conversation))
    assert [(turn.role.value, turn.content) for turn in agent.asked[0].messages] == [
        ("system", "Be brief."), ("user", "one\ntwo"), ("assistant", "three"), ("user", "four")
    ]  # fmt: skip


async def test_a_clip_is_asked_as_it_is(http, agent):
    await http.post(CHAT, json=says({"role": "system", "content": "Be brief."}, user([CLIP])))
    await http.post(CHAT, json=says(user([CLIP])))
    told = [(asked.audio, asked.system, asked.messages) for asked in agent.asked]
    assert told == [(WAV_BASE64, "Be brief.", None), (WAV_BASE64, None, None)]
    assert agent.operations == [Operation.CHAT, Operation.CHAT]


async def test_a_clip_in_a_conversation_is_heard_first(http, agent):
    before = (user("Hi"), {"role": "assistant", "content": "Hello"})
    typed = {"type": "text", "text": "What is this?"}
    answer = await http.post(CHAT, json=says(*before, user([typed, CLIP])), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 200
    heard, asked = agent.asked
    assert agent.operations == [Operation.TRANSCRIBE, Operation.CHAT]
    assert (heard.audio, heard.messages, asked.audio, asked.id) == (WAV_BASE64, None, None, "k")
    assert heard.id not in {"k", None}
    assert asked.messages[-1].content == "What is this?\n\nwhat was heard"


async def test_a_clip_in_which_nothing_is_said(http, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.NO_SPEECH, "nothing was said", field="audio"))
    answer = await http.post(CHAT, json=says(user("Hi"), user([CLIP])))
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "messages")
    assert len(agent.asked) == 1


async def test_an_answer_in_speech(http, agent):
    answer = await http.post(CHAT, json=asks(**SPOKEN))
    message = answer.json()["choices"][0]["message"]
    assert message["content"] is None
    audio = message["audio"]
    assert (audio["data"], audio["transcript"]) == (WAV_BASE64, "Grüße!")
    assert audio["expires_at"] == answer.json()["created"] + 3_600
    [asked] = agent.asked
    assert (asked.reply_mode, asked.tts.voice, asked.tts.format) == (ReplyMode.BOTH, None, AudioFormat.WAV)


async def test_voices(http, agent):
    agent.info = INFO.model_copy(
        update={"engines": {Stage.TTS: EngineInfo(name="coqui", model="vits", voices=("anna", "nova"))}}
    )
    for voice in ("alloy", "nova", "anna", "otto"):
        await http.post(CHAT, json=asks(modalities=["audio"], audio={"voice": voice, "format": "pcm16"}))
    assert [asked.tts.voice for asked in agent.asked] == [None, "nova", "anna", "otto"]
    assert {(asked.tts.format, asked.tts.sample_rate) for asked in agent.asked} == {(AudioFormat.PCM, 24_000)}


async def test_an_answer_in_speech_that_the_agent_does_not_write(http, agent):
    samples = encode_base64(bytes(2 * 4_800))
    agent.outcome = done(text="Hi", audio=AudioBody(data=samples, sample_rate=24_000, duration_ms=200))
    answer = await http.post(CHAT, json=asks(**{**SPOKEN, "audio": {"format": "mp3"}}))
    heard = base64.b64decode(answer.json()["choices"][0]["message"]["audio"]["data"])
    assert soundfile.info(io.BytesIO(heard)).format == "MP3"
    assert agent.asked[0].tts.format is AudioFormat.PCM


async def test_the_answer_as_an_array(http):
    for path in (CHAT, "/chat/completions"):
        answer = await http.post(f"{path}?format=messages", json=HI)
        assert answer.json() == [{"role": "assistant", "content": "Grüße!"}]


@pytest.mark.parametrize(
    ("query", "fields", "param"), [("xml", {}, "format"), ("messages", {"stream": True}, "stream")]
)
async def test_other_forms(http, query, fields, param):
    answer = await http.post(f"{CHAT}?format={query}", json=asks(**fields))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("name", "asked"),
    [("", None), (None, None), ("default", None), ("echo", None), ("scripted/echo", None), ("parrot", "parrot")],
)
async def test_models_by_name(http, agent, name, asked):
    agent.info = INFO.model_copy(update={"models": ("default", "parrot")})
    answer = await http.post(CHAT, json=asks(model=name))
    assert (answer.json()["model"], agent.asked[0].model) == (asked or "echo", asked)


@pytest.mark.parametrize("name", ["gpt-4o", "x/y", "ü"])
async def test_a_model_that_there_is_not(http, agent, name):
    answer = await http.post(CHAT, json=asks(model=name))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (404, "model", "model_not_found")
    assert name in error["message"]
    assert not agent.asked


async def test_the_models(http, agent):
    agent.info = INFO.model_copy(update={"models": ("default", "parrot")})
    told = (await http.get("/v1/models")).json()
    assert [model["id"] for model in told["data"]] == ["default", "parrot", "echo"]
    assert (await http.get("/v1/models/parrot")).json() == {
        "id": "parrot", "object": "model", "created": 0, "owned_by": "orin"
    }  # fmt: skip
    missing = await http.get("/v1/models/x/y")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    agent.info = None
    assert (await http.get("/v1/models")).status_code == 503


async def test_a_stream(http, agent):
    for part in (
        event(0, EventType.ACCEPTED),
        event(1, EventType.LLM_START),
        event(2, EventType.TOKEN, delta=" Hel"),
        event(3, EventType.TOKEN, delta="lo "),
        done(text="Hello", usage=USAGE, finish_reason=FinishReason.STOP),
    ):
        agent.parts.put_nowait(part)
    answer = await http.post(CHAT, json=asks(stream=True, stream_options={"include_usage": True}))
    assert answer.headers["Content-Type"] == "text/event-stream"
    told = chunks(answer)
    assert {(chunk["object"], chunk["model"]) for chunk in told} == {("chat.completion.chunk", "echo")}
    assert len({chunk["id"] for chunk in told}) == 1
    assert [chunk["choices"][0]["delta"] for chunk in told[:-1]] == [
        {"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo "}, {}
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in told[:-1]] == [None, None, None, "stop"]
    assert (told[-1]["choices"], told[-1]["usage"]["total_tokens"]) == ([], 9)


async def test_a_stored_answer_is_one_piece(http, agent):
    agent.parts.put_nowait(done(text="Hello", replayed=True))
    told = chunks(await http.post(CHAT, json=asks(stream=True)))
    assert [chunk["choices"][0]["delta"] for chunk in told] == [
        {"role": "assistant", "content": ""}, {"content": "Hello"}, {}
    ]  # fmt: skip


async def test_an_answer_that_is_begun_anew_is_told_once(http, agent):
    agent.parts.put_nowait(event(0, EventType.TOKEN, delta="One two"))
    agent.parts.put_nowait(event(0, EventType.ACCEPTED))
    for number, delta in enumerate(("One", " two", " three", " four")):
        agent.parts.put_nowait(event(number + 1, EventType.TOKEN, delta=delta))
    agent.parts.put_nowait(done(text="One two three four"))
    told = chunks(await http.post(CHAT, json=asks(stream=True)))
    pieces = [chunk["choices"][0]["delta"].get("content") for chunk in told]
    assert pieces == ["", "One two", " three", " four", None]


@pytest.mark.parametrize("last", ["Another answer", None])
async def test_an_answer_of_which_a_piece_was_lost_says_so(http, agent, last):
    agent.parts.put_nowait(event(0, EventType.TOKEN, delta="One"))
    lost = done(text=last) if last else failed_reply(ContractError(ErrorCode.LLM_FAILED, "the model failed"))
    agent.parts.put_nowait(lost)
    answer = await http.post(CHAT, json=asks(stream=True))
    error = json.loads(answer.text.rpartition("data: ")[2])["error"]
    assert (answer.status_code, error["type"]) == (200, "server_error")
    assert error["code"] == ("internal" if last else "llm_failed")
    assert "[DONE]" not in answer.text


async def test_a_stream_of_speech(http, agent):
    for part in (
        event(0, EventType.TOKEN, delta="Hello."),
        AudioChunk(0, b"\0\1"),
        event(1, EventType.AUDIO, chunk=0, bytes=2, text="Hello."),
        AudioChunk(1, b"\2\3"),
        done(text="Hello.", audio=AudioBody(sample_rate=24_000, duration_ms=1, chunks=2, format=AudioFormat.PCM)),
    ):
        agent.parts.put_nowait(part)
    answer = await http.post(CHAT, json=asks(stream=True, modalities=["audio"], audio={"format": "pcm16"}))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(answer)]
    assert deltas[0] == {"role": "assistant"}
    told = [delta["audio"] for delta in deltas[1:-1]]
    assert [{**part, "id": None, "expires_at": None} for part in told] == [
        {"id": None, "expires_at": None, **part}
        for part in ({"transcript": "Hello."}, {"data": "AAE="}, {"data": "AgM="}, {})
    ]
    assert told[-1]["expires_at"] > 0
    assert agent.asked[0].stream.audio


async def test_speech_of_which_a_chunk_was_lost(http, agent):
    agent.parts.put_nowait(event(0, EventType.TOKEN, delta="Hello."))
    agent.parts.put_nowait(AudioChunk(1, b"\0\1"))
    fields = {"stream": True, "modalities": ["audio"], "audio": {"format": "pcm16"}}
    answer = await http.post(CHAT, json=asks(**fields))
    assert '"internal"' in answer.text
    agent.parts.put_nowait(done(text="Hi", replayed=True, audio=AudioBody(sample_rate=24_000, duration_ms=1, chunks=1)))
    answer = await http.post(CHAT, json=asks(**fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


FULL = ContractError(ErrorCode.CONTEXT_LENGTH_EXCEEDED, "too long", stage=Stage.LLM, limit=2048, actual=2078)
FAILURES = [
    (failed_reply(FULL), 400, "context_length_exceeded", "invalid_request_error"),
    (
        failed_reply(ContractError(ErrorCode.NOT_FOUND, "no model", field="model")),
        404,
        "model_not_found",
        "invalid_request_error",
    ),
    (failed_reply(ContractError(ErrorCode.EXPIRED, "late"), Status.EXPIRED), 408, "expired", "server_error"),
    (ContractError(ErrorCode.BUSY, "full", retry_after_ms=1_500), 503, "busy", "server_error"),
    (NoReply("r1", 61.0), 504, "expired", "server_error"),
    (ValueError("oops"), 500, "internal", "server_error"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failed", FAILURES)
async def test_errors_have_openais_form(http, agent, failed, stream):
    failure, status, code, kind = failed
    agent.outcome = failure
    agent.parts.put_nowait(failure)
    answer = await http.post(CHAT, json=asks(stream=stream))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (status, code, kind)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers.get("Retry-After") == ("2" if code == "busy" else None)
    if code == "context_length_exceeded":
        assert error["param"] == "messages"
        assert "maximum context length is 2048 tokens" in error["message"]
        assert "you requested 2078 tokens" in error["message"]


@pytest.mark.parametrize("path", [CHAT, "/chat/completions"])
async def test_a_get_is_told_at_once_what_to_do(http, agent, path):
    agent.alive, agent.presence = False, None
    answer = await http.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, answer.headers["Allow"], error["code"]) == (405, "POST", "method_not_allowed")
    assert "ab -p body.json" in error["message"]
    assert not agent.asked


async def test_other_errors_have_it_too(http, settings):
    answers = [
        await http.get(CHAT),
        await http.post(CHAT, content=b"{"),
        await http.post(CHAT, content=b"{", headers={"Content-Type": "application/json"}),
        await http.post(CHAT, content=b"x" * (settings.max_body_bytes + 1)),
        await http.post("/chat/completions", json=HI, headers={"Origin": "https://elsewhere.example"}),
        await http.post("/v1/chat/nothing", json=HI),
    ]
    assert [answer.status_code for answer in answers] == [405, 415, 400, 413, 403, 404]
    assert all(set(answer.json()["error"]) == {"message", "type", "param", "code"} for answer in answers)


@pytest.mark.parametrize("path", [CHAT, "/chat/completions", "/v1/models"])
async def test_every_path_needs_a_key(http, settings, agent, path):
    shown, stored = new_key("kitchen")
    settings.keys_path.write_text(render_keys([stored]))
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}):
        answer = await (
            http.get(path, headers=headers) if path == "/v1/models" else http.post(path, json=HI, headers=headers)
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not agent.asked
    if path != "/v1/models":
        assert (await http.post(path, json=HI, headers={"Authorization": f"Bearer {shown}"})).status_code == 200
