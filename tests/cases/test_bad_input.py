"""Whatever is sent, the answer is a typed error and the next request is served as ever."""

from typing import Any

import pytest

from agent.contract.limits import Limits
from tests.callers import spoken
from tests.wav_files import REFUSED, silence, sine, wav

pytestmark = pytest.mark.once

CLIP = wav(sine(seconds=0.5))

JSON = {
    "cut short": b'{"text": "Hi"',
    "deep": b'{"metadata":' + b"[" * 100_000,
    "huge integer": b'{"deadline_ms": ' + b"9" * 5_000 + b"}",
    "NaN": b'{"text": "Hi", "params": {"temperature": NaN}}',
    "infinite": b'{"text": "Hi", "params": {"temperature": 1e999}}',
    "infinite in metadata": b'{"text": "Hi", "metadata": {"x": 1e999}}',
    "lone surrogate": b'{"text": "\\ud800"}',
    "not UTF-8": b'{"text": "\xff"}',
    "a NUL": b'{"text": "a\\u0000b"}',
    "trailing text": b'{"text": "Hi"} and more',
}

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing asked": ({}, "text"),
    "two questions": ({"text": "Hi", "audio": "UklGRg=="}, "text"),
    "unknown field": ({"text": "Hi", "reply_modee": "audio"}, "reply_modee"),
    "unknown nested field": ({"text": "Hi", "params": {"top_k": 3}}, "params.top_k"),
    "unknown mode": ({"text": "Hi", "reply_mode": "song"}, "reply_mode"),
    "number for text": ({"text": 5}, "text"),
    "text for number": ({"text": "Hi", "deadline_ms": "5"}, "deadline_ms"),
    "null for text": ({"text": None}, "text"),
    "empty text": ({"text": " \n"}, "text"),
    "no temperature there": ({"text": "Hi", "params": {"temperature": 99}}, "params.temperature"),
    "no penalty there": ({"text": "Hi", "params": {"repetition_penalty": 1e-300}}, "params.repetition_penalty"),
    "empty stop": ({"text": "Hi", "params": {"stop": [""]}}, "params.stop.0"),
    "no deadline left": ({"text": "Hi", "deadline_ms": 0}, "deadline_ms"),
    "another version": ({"v": 2, "text": "Hi"}, "v"),
    "large metadata": ({"text": "Hi", "metadata": {"x": "y" * 5_000}}, "metadata"),
    "no messages": ({"messages": []}, "messages"),
    "unknown role": ({"messages": [{"role": "boss", "content": "Hi"}]}, "messages.0.role"),
}

IDS = {
    "empty": "",
    "long": "x" * 65,
    "slash": "a/b",
    "plus": "+",
    "hash": "#",
    "space": "a b",
    "emoji": "☺",
    "line break": "a\n",
}

BASE64 = {"nonsense": "????", "one character": "A", "foreign letters": "UklGRgé=", "mixed alphabets": "ab+/-_cd"}


@pytest.fixture(autouse=True)
def still_serving(caller):
    yield
    assert caller.ask(text="Still there?")["status"] == "ok"


def refused(reply, code):
    assert (reply["status"], reply["error"]["code"]) == ("error", code)
    assert reply["error"]["message"]
    return reply["error"]


@pytest.mark.parametrize("name", JSON)
def test_json_that_is_none(caller, name):
    refused(caller.ask_raw(JSON[name]), "bad_request")


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"text"'], ids=["empty", "null", "list", "string"])
def test_json_that_is_no_request(caller, payload):
    if caller.name == "mqtt5":
        reply = caller.ask_raw(payload, ContentType="application/json")
    elif caller.name == "http":
        reply = caller.ask_raw(payload)
    else:  # without a content type only an empty payload is no question
        reply = caller.ask_raw(b"")
    refused(reply, "bad_request")


@pytest.mark.parametrize("name", FIELDS)
def test_a_request_that_cannot_be_meant(caller, name):
    fields, field = FIELDS[name]
    assert refused(caller.ask(**fields), "bad_request")["field"] == field


@pytest.mark.parametrize("name", IDS)
def test_an_id_that_is_none(caller, name):
    assert refused(caller.ask_raw({"id": IDS[name], "text": "Hi"}), "bad_request")["field"] == "id"


@pytest.mark.parametrize("name", BASE64)
def test_base64_that_is_none(caller, name):
    assert refused(caller.ask(audio=BASE64[name]), "unsupported_media")["reason"] == "bad_base64"


@pytest.mark.parametrize("name", [name for name, (data, _) in REFUSED.items() if data])
def test_audio_that_is_no_wav_we_read(caller, name):
    data, reason = REFUSED[name]
    assert refused(caller.ask(audio=spoken(data)), "unsupported_media")["reason"] == reason


@pytest.mark.parametrize("clip", [silence(seconds=1.0), sine(seconds=0.0)], ids=["silence", "no samples"])
def test_silence_is_not_put_to_the_language_model(caller, clip):
    reply = caller.ask(audio=spoken(wav(clip)), reply_mode="audio")
    refused(reply, "no_speech")
    assert "text" not in reply
    assert "llm" not in reply.get("timings_ms", {})


def test_a_clip_that_is_too_long(caller):
    long = wav(sine(8_000, seconds=61.0), rate=8_000)
    error = refused(caller.ask(audio=spoken(long)), "audio_too_long")
    assert error["limit"] == Limits().max_audio_s
    assert error["actual"] == pytest.approx(61)


def test_a_text_that_is_too_long(caller):
    error = refused(caller.ask(text="a" * 8_001), "payload_too_large")
    assert (error["limit"], error["field"]) == (8_000, "text")


def test_a_message_that_is_too_large(caller):
    error = refused(caller.ask_raw({"text": "Hi", "audio": "A" * 4_000_001}), "payload_too_large")
    if caller.name == "http":  # says it in the caller's measure: of the clip, before it became base64
        assert (error["field"], error["actual"]) == ("audio", 3_000_000)
        assert error["limit"] < 3_000_000
    else:
        assert error["limit"] == 4_000_000


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_the_limit_is_exact(caller, beyond):
    reply = caller.ask_raw(b'{"text": "Hi"}'.ljust(4_000_000 + beyond))
    if caller.name == "http":  # the bridge has a limit of its own, and sends on what the body means
        assert reply["status"] == "ok"
    elif beyond > 0:
        refused(reply, "payload_too_large")
    else:
        assert reply["text"] == "You said: Hi"


def test_an_unknown_voice(caller):
    refused(caller.ask(text="Hi", reply_mode="audio", tts={"voice": "nobody"}), "not_found")


HOSTILE_TOPICS = [
    "home/lock/set",
    "edgevoice/v1/orin/reply/other/x",
    "edgevoice/v1/orin/request/demo/chat",
    "edgevoice/v1/orin/status",
    "$CONTROL/dynamic-security/v1",
    "edgevoice/v1/orin/reply/demo/#",
    "edgevoice/v1/orin/reply/demo/+/x",
    "edgevoice/v1/orin/reply/demo",
    "edgevoice/v1/orin/reply/demo/",
    "edgevoice/v1/orin/reply/demo/" + "x" * 500,
]


@pytest.mark.parametrize("topic", HOSTILE_TOPICS)
def test_the_agent_never_replies_where_a_stranger_points(caller, topic):
    reply = caller.ask(text="Hi", reply_to=topic)
    assert reply["error"]["code"] in ({"bad_request"} if caller.name == "http" or len(topic) > 512 else {"forbidden"})
