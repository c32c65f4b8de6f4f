"""Messages: a stored example of each, and what becomes of everything that is no message."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import agent.contract
from agent.contract.admin import AdminRequest, Health, ModelInfo, ModelList
from agent.contract.catalogue import Rendered, Rendering, StoredTemplate, TemplateInfo, TemplateList
from agent.contract.docs import field_docs
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event
from agent.contract.limits import MAX_MESSAGES, MAX_METADATA_BYTES, MAX_STOP_STRINGS, Limits
from agent.contract.lookup import Found
from agent.contract.messages import (
    Cancel,
    HearingOptions,
    Lookup,
    Message,
    Request,
    Sampling,
    StreamOptions,
    UploadEnd,
    UploadStart,
    VoiceOptions,
)
from agent.contract.personas import Persona
from agent.contract.presence import EngineInfo, EngineState, Info, State
from agent.contract.reply import (
    AudioBody,
    Context,
    EngineNames,
    ErrorBody,
    Rates,
    Reply,
    SegmentBody,
    Timings,
    TranscriptBody,
    Usage,
)
from agent.contract.sessions import SessionCall, SessionConfig, SessionHistory, SessionInfo, SessionList
from agent.contract.templates import Template
from agent.contract.terms import ReplyMode, Role, Stage
from agent.contract.wire import WireModel

SAMPLING = (
    '{"temperature":0.7,"top_p":0.95,"max_tokens":256,"stop":["\\n"],"seed":1,'
    '"frequency_penalty":0.1,"presence_penalty":-0.1,"repetition_penalty":1.1}'
)
VOICE = '{"voice":"slt","speed":1.25,"sample_rate":22050,"format":"opus"}'
ERROR = (
    '{"code":"busy","message":"256 requests wait already","stage":"stt","field":"audio","reason":"full",'
    '"retriable":true,"retry_after_ms":1500,"queue_depth":256,"limit":256.0,"actual":257.0,'
    '"missing_keys":["city"],"unused_keys":["town"]}'
)
SEGMENT = '{"text":"what time is it","start_ms":120,"end_ms":1480}'
TRANSCRIPT = (
    '{"text":"what time is it","language":"en","language_probability":0.98,"duration_ms":1600,'
    f'"segments":[{SEGMENT}]}}'
)
AUDIO = '{"data":"UklGRg==","format":"wav","sample_rate":22050,"duration_ms":2140,"chunks":3}'
CONTEXT = '{"prompt_tokens":812,"window":4096,"dropped_messages":4}'
USAGE = '{"prompt_tokens":812,"completion_tokens":57}'
TIMINGS = (
    '{"queue":3.5,"stt":310.0,"llm_first_token":180.0,"llm":1900.0,"tts_first_audio":240.0,"tts":650.0,"total":3120.25}'
)
RATES = '{"prefill_tok_s":2100.0,"decode_tok_s":27.3,"stt_rtf":0.08,"tts_rtf":0.3}'
ENGINES = '{"stt":"whispercpp/base","llm":"mlc/qwen","tts":"flite/slt"}'
LIMITS = (
    '{"max_message_bytes":4000000,"max_audio_s":60.0,"max_upload_s":600.0,"max_uploads":64,'
    '"max_uploads_per_client":8,"upload_idle_ms":5000,"max_text_chars":8000,"max_queued":256,'
    '"max_queued_per_client":64,"max_queued_bytes":64000000,'
    '"max_queued_bytes_per_client":32000000,"max_queued_audio_s":1200.0,"max_queued_audio_s_per_client":600.0,'
    '"default_deadline_ms":60000,"max_deadline_ms":600000}'
)
ENGINE_INFO = (
    '{"name":"flite","model":"slt","version":"2.2","languages":["en"],"voices":["slt","rms"],'
    '"sample_rate":16000,"device":"cpu","context_window":4096}'
)
ENGINE_STATE = '{"ready":true,"busy":2,"restarts":1,"memory_bytes":123456789}'

INFO = (
    '{"v":1,"agent":"orin","version":"1.0.0","operations":["chat"],"reply_modes":["text"],'
    f'"audio_formats":["wav"],"speech_formats":["wav","opus"],"limits":{LIMITS},"engines":{{"tts":{ENGINE_INFO}}},"models":["default","mistral-7b"],"personas":["nurse"]}}'
)
STATE = (
    '{"v":1,"phase":"ready","accepting":true,"queued":2,"running":1,"max_queued":256,"queued_bytes":81920,'
    '"faults":["journal"],"probe_ms":0.8,"memory_bytes":98765432,'
    f'"engines":{{"llm":{ENGINE_STATE}}}}}'
)
MODEL = f'{{"name":"mistral-7b","engine":"mlc","loaded":true,"info":{ENGINE_INFO},"state":{ENGINE_STATE}}}'

REPLY = (
    '{"v":1,"id":"9f2c","session_id":"kitchen","status":"ok","reply_mode":"both",'
    f'"transcript":{TRANSCRIPT},"text":"It is *noon*.","speech_text":"It is noon.",'
    f'"heard_text":"It is","finish_reason":"stop","audio":{AUDIO},"context":{CONTEXT},'
    f'"usage":{USAGE},"timings_ms":{TIMINGS},"rates":{RATES},"engines":{ENGINES},"result":{{"models":[]}},"error":{ERROR},'
    '"replayed":true,"agent":"orin","metadata":{"room":"kitchen"}}'
)

STREAM = '{"text":true,"audio":true,"chunk_bytes":8192}'

PERSONA = (
    '"model":"mistral-7b","system":"Be brief.","template":"brief","language":"en","voice":"slt",'
    f'"on_overflow":"summarize","params":{SAMPLING}'
)
CONFIG = f'{{{PERSONA},"persona":"nurse"}}'
TEMPLATE = f'{{"config":{SAMPLING},"city":null,"style":"brief","template":"In {{city}}, {{style}}: {{user}}"}}'
TEMPLATE_INFO = '"name":"brief","version":2,"saved_at":1795300000.5,"needs":["city"]'
SESSION = f'"session_id":"evening","turns":3,"created_at":1795300000.5,"used_at":1795300060.5,"config":{CONFIG}'
SAMPLES: dict[type[WireModel], str] = {
    Message: '{"role":"user","content":"What time is it?"}',
    Sampling: SAMPLING,
    VoiceOptions: VOICE,
    HearingOptions: '{"prompt":"EdgeVoice, Jetson"}',
    StreamOptions: STREAM,
    Request: (
        '{"v":1,"id":"9f2c","session_id":"kitchen","reply_mode":"both","text":"Hi","audio":"UklGRg==",'
        '"messages":[{"role":"user","content":"Hi"}],"model":"mistral-7b","mode":"raw",'
        '"system":"Be brief.","persona":"nurse","template":"brief","vars":{"city":"Bern"},'
        '"on_overflow":"error","language":"en",'
        '"reply_to":"edgevoice/v1/orin/reply/kitchen/1","deadline_ms":30000,"priority":5,"barge_in":true,'
        f'"stream":{STREAM},"params":{SAMPLING},"tts":{VOICE},"stt":{{"prompt":"Jetson"}},"metadata":{{"room":["kitchen",1,2.5,true]}}}}'
    ),
    UploadStart: (
        '{"v":1,"id":"9f2c","session_id":"kitchen","reply_mode":"both",'
        '"model":"mistral-7b","mode":"chat","system":"Be brief.",'
        '"persona":"nurse","template":"brief","vars":{"city":"Bern"},"on_overflow":"trim","language":"en",'
        '"reply_to":"edgevoice/v1/orin/reply/kitchen/1","deadline_ms":30000,"priority":5,"barge_in":true,'
        f'"stream":{STREAM},"params":{SAMPLING},"tts":{VOICE},"stt":{{"prompt":"Jetson"}},"metadata":{{}},'
        '"operation":"transcribe","format":"pcm_s16le","sample_rate":16000,"channels":2,"end_silence_ms":500}'
    ),
    UploadEnd: '{"chunks":24}',
    Cancel: '{"id":"9f2c","played_ms":1200,"last_seq":1}',
    Lookup: '{"id":"a1","request_id":"9f2c","reply_to":"edgevoice/v1/orin/reply/kitchen/a1"}',
    Persona: f"{{{PERSONA}}}",
    Template: TEMPLATE,
    SessionConfig: CONFIG,
    SessionCall: (
        '{"v":1,"id":"a1","reply_to":"edgevoice/v1/orin/reply/kitchen/a1","op":"config","session_id":"evening",'
        f'"config":{CONFIG},"last":20}}'
    ),
    SessionInfo: f"{{{SESSION}}}",
    SessionList: f'{{"sessions":[{{{SESSION}}}]}}',
    SessionHistory: f'{{{SESSION},"messages":[{{"role":"user","content":"Hi"}}],"summary":"They said hello."}}',
    ErrorBody: ERROR,
    SegmentBody: SEGMENT,
    TranscriptBody: TRANSCRIPT,
    AudioBody: AUDIO,
    Context: CONTEXT,
    Usage: USAGE,
    Timings: TIMINGS,
    Rates: RATES,
    EngineNames: ENGINES,
    Reply: REPLY,
    Found: f'{{"state":"done","position":2,"eta_ms":1500,"reply":{REPLY}}}',
    Event: (
        '{"type":"token","id":"9f2c","seq":3,"t_ms":412.5,"position":2,"eta_ms":1500,'
        '"text":"It is","language":"en","delta":" noon","n":1,"chunk":2,"bytes":8192,"chunks":3,"stage":"llm",'
        '"missing":[4,5],"code":"unsayable","message":"one sentence cannot be said"}'
    ),
    Limits: LIMITS,
    EngineInfo: ENGINE_INFO,
    Info: INFO,
    EngineState: ENGINE_STATE,
    State: STATE,
    AdminRequest: (
        '{"v":1,"id":"9f2c","reply_to":"edgevoice/v1/orin/reply/operator/9f2c","model":"mistral-7b",'
        f'"name":"brief","version":2,"template":{TEMPLATE},"text":"Hi","vars":{{"city":"Bern"}}}}'
    ),
    TemplateInfo: f"{{{TEMPLATE_INFO}}}",
    TemplateList: f'{{"templates":[{{{TEMPLATE_INFO}}}]}}',
    StoredTemplate: f'{{{TEMPLATE_INFO},"versions":[0,1,2],"template":{TEMPLATE}}}',
    Rendering: '{"text":"Hi","vars":{"city":"Bern"}}',
    Rendered: f'{{"prompt":"In Bern, brief: Hi","config":{SAMPLING}}}',
    ModelInfo: MODEL,
    ModelList: f'{{"models":[{MODEL}]}}',
    Health: (f'{{"info":{INFO},"state":{STATE},"models":[{MODEL}],"uptime_s":12.5,"available_bytes":4000000000}}'),
}
"""As on the wire, with every field: a change of the wire shows as a change of a line here."""

ALTERNATIVES: dict[type[WireModel], set[str]] = {
    Cancel: {"session_id", "all"},
    UploadStart: {"text", "audio", "messages"},
}
"""Fields that cannot stand beside those of the example."""


def wire_models(base: type[WireModel] = WireModel) -> Iterator[type[WireModel]]:
    """Every message of the contract, found rather than listed."""
    for module in pkgutil.iter_modules(agent.contract.__path__):
        importlib.import_module(f"agent.contract.{module.name}")
    for model in base.__subclasses__():
        if model.__module__.startswith("agent.contract.") and not model.__name__.startswith("_"):
            yield model
        yield from wire_models(model)


@pytest.mark.parametrize("model", list(wire_models()), ids=lambda model: model.__name__)
class TestEveryMessage:
    def test_reads_and_writes_its_example(self, model):
        assert model in SAMPLES, f"give {model.__name__} an example in SAMPLES"

        message = model.decode(SAMPLES[model].encode())

        assert message.encode().decode() == SAMPLES[model]
        left_out = set(model.model_fields) - message.model_fields_set - ALTERNATIVES.get(model, set())
        assert not left_out, "the example leaves fields out"

    def test_is_frozen_and_documented(self, model):
        assert model.model_config["frozen"]
        assert field_docs(model).keys() == model.model_fields.keys()
        described = model.model_json_schema()["properties"].values()
        assert all(field["description"] for field in described)

    def test_is_strict_about_what_it_is(self, model):
        for payload in (b"", b"null", b"[]", b'"text"', b"1", b"{", b"\xff", SAMPLES[model].encode("utf-16")):
            assert refusal(payload, model).code is ErrorCode.BAD_REQUEST


def refusal(payload: bytes, model: type[WireModel] = Request) -> ContractError:
    with pytest.raises(ContractError) as refused:
        model.decode(payload)
    return refused.value


def field_at_fault(**fields: object) -> str | None:
    return refusal(json.dumps(fields).encode()).field


class TestCompatibility:
    def test_a_reply_with_news_is_read_by_an_old_caller(self):
        assert Reply.decode(b'{"id":"1","status":"ok","agent":"orin","mood":"good"}').id == "1"

    @pytest.mark.parametrize("field", ["moode", "replymode", "TEXT"])
    def test_a_mistyped_field_of_a_request_is_named(self, field):
        error = refusal(json.dumps({"text": "Hi", field: 1}).encode())

        assert error.field == field
        assert error.message == f"unknown field {field!r}"

    def test_what_does_not_apply_is_left_out(self):
        assert b"null" not in Reply.decode(b'{"id":"1","status":"ok","agent":"orin"}').encode()


class TestRequest:
    def test_the_smallest_one(self):
        request = Request.decode(b'{"text":"Hi"}')

        assert (request.text, request.reply_mode, request.id) == ("Hi", ReplyMode.TEXT, None)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("v", 2),
            ("v", True),
            ("v", "1"),
            ("id", ""),
            ("id", "x" * 65),
            ("id", "a/b"),
            ("id", "a+b"),
            ("id", "#"),
            ("id", "$SYS"),
            ("id", "a\0"),
            ("id", "abc\n"),
            ("id", "\N{MICROPHONE}"),
            ("id", 1e308),
            ("id", 7),
            ("session_id", "a b"),
            ("text", ""),
            ("text", " \n"),
            ("text", "a\0b"),
            ("text", ["Hi"]),
            ("audio", ""),
            ("messages", []),
            ("messages", [{"role": "user", "content": "Hi"}] * (MAX_MESSAGES + 1)),
            ("system", ""),
            ("reply_mode", "loud"),
            ("language", "english please"),
            ("language", "en\n"),
            ("reply_to", ""),
            ("reply_to", "x" * 513),
            ("deadline_ms", 0),
            ("deadline_ms", -1),
            ("deadline_ms", 1.5),
            ("deadline_ms", "1000"),
            ("deadline_ms", True),
            ("stream", True),
            ("metadata", {"x": "y" * MAX_METADATA_BYTES}),
        ],
        ids=lambda value: ascii(value)[:30],
    )
    def test_names_the_field_at_fault(self, field, value):
        assert field_at_fault(**{field: value}) == field

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            ("temperature", 2.1),
            ("temperature", -0.1),
            ("top_p", 0),
            ("max_tokens", 0),
            ("stop", ["x"] * (MAX_STOP_STRINGS + 1)),
            ("seed", 2**31),
            ("beam", 1),
        ],
    )
    def test_names_the_part_of_a_field(self, part, value):
        assert field_at_fault(params={part: value}) == f"params.{part}"

    def test_names_the_turn_of_a_conversation(self):
        assert field_at_fault(messages=[{"role": "user", "content": "Hi"}, {"role": "me", "content": "?"}]) == (
            "messages.1.role"
        )

    def test_a_conversation(self):
        request = Request.decode(b'{"messages":[{"role":"system","content":"Be brief."}]}')

        assert request.messages == [Message(role=Role.SYSTEM, content="Be brief.")]


class TestHostileJson:
    def test_a_megabyte_of_combining_marks_is_read_in_one_go(self):
        marks = "\u0301\u0323" * 500_000
        assert Request.decode(('{"text":"' + marks + '"}').encode()).text == marks

    @pytest.mark.parametrize(
        "payload",
        [
            b'{"metadata":' + b"[" * 100_000,
            b'{"metadata":' + b'{"a":' * 100_000,
            b'{"text":"Hi","deadline_ms":' + b"9" * 5_000 + b"}",
            b'{"metadata":{"n":' + b"9" * 5_000 + b"}}",
            b'{"params":{"temperature":NaN}}',
            b'{"params":{"temperature":Infinity}}',
            b'{"params":{"temperature":1e999}}',
            b'{"metadata":{"n":NaN}}',
            b'{"metadata":{"n":-Infinity}}',
            b'{"metadata":{"n":1e999}}',
            rb'{"text":"\ud800"}',
            rb'{"metadata":{"\udfff":1}}',
            b'{"text":"\xed\xa0\x80"}',
            b'{"text":"\xff"}',
            b'\xef\xbb\xbf{"text":"Hi"}',
            '{"text":"Hi"}'.encode("utf-16"),
            '{"text":"Hi"}'.encode("utf-32-le"),
            b'{"text":"Hi"} {"text":"Ho"}',
            b'{"text":"Hi",}',
            b"{'text':'Hi'}",
            b'{"text":"Hi"/**/}',
            b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
            b'{"metadata":{' + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}}",
        ],
        ids=lambda payload: ascii(payload[:40]),
    )
    def test_is_a_bad_request(self, payload):
        assert refusal(payload).code is ErrorCode.BAD_REQUEST

    def test_the_last_of_two_equal_keys_counts(self):
        assert Request.decode(b'{"id":"a","text":"Hi","id":"b"}').id == "b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
envelopes = st.dictionaries(
    st.sampled_from(list(Request.model_fields)) | st.text(max_size=8),
    json_values
    | st.sampled_from(
        ["Hi", "text", "both", "en", {"text": True}, {"temperature": 0.5}, {"role": "user", "content": "Hi"}]
    ),
    max_size=6,
)


@given(st.binary() | json_values.map(json.dumps).map(str.encode) | envelopes.map(json.dumps).map(str.encode))
@example(SAMPLES[Request].encode())
@example(b'{"text":"Hi","metadata":{"n":' + b"9" * 4_000 + b"}}")
@example(b'{"text":"Hi","metadata":{"d":' + b"[" * 190 + b"]" * 190 + b"}}")
def test_any_payload_is_a_request_or_a_bad_request(payload):
    try:
        request = Request.decode(payload)
    except ContractError as refused:
        assert refused.code is ErrorCode.BAD_REQUEST  # noqa: PT017 - both outcomes are right
        ErrorBody.of(refused).encode()
    else:
        assert Request.decode(request.encode()) == request


class TestErrorBody:
    @pytest.mark.parametrize("code", ErrorCode)
    def test_says_what_the_error_says(self, code):
        error = ContractError(code, "No.", stage=Stage.LLM, field="text", reason="why", limit=1.0, actual=2.0)

        body = ErrorBody.decode(ErrorBody.of(error).encode())

        assert (body.code, body.message, body.stage, body.field) == (code, "No.", Stage.LLM, "text")
        assert (body.reason, body.limit, body.actual, body.retriable) == ("why", 1.0, 2.0, error.retriable)
