"""Payloads of every size, strange JSON and strange letters: answered or refused, and nobody else notices."""

import base64
import json
import re
import textwrap
import threading
import uuid

import pytest

from agent.contract.limits import Limits
from agent.stack import Part
from tests.callers import PATIENCE_S, mqtt_caller, spoken
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

LIMIT = Limits().max_message_bytes
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (DEBUG|INFO|WARNING|ERROR) +[\w.]+[: ]")


@pytest.fixture
def quiet_log(stack):
    """Whatever is asked, every line the agent logs is one that it means."""
    begin = stack.log(Part.AGENT).stat().st_size
    yield
    with stack.log(Part.AGENT).open("rb") as log:
        log.seek(begin)
        said = log.read().decode()
    assert said.isprintable() or set(filter(lambda each: not each.isprintable(), said)) == {"\n"}
    assert all(LOG_LINE.match(line) for line in said.splitlines())
    assert "Traceback" not in said


def code_of(reply):
    return reply["error"]["code"] if "error" in reply else reply["status"]


SIZES = {
    0: "bad_request",
    1: "ok",
    LIMIT - 1: "ok",
    LIMIT: "ok",
    LIMIT + 1: "payload_too_large",
    LIMIT + LIMIT // 2: "payload_too_large",
}


@pytest.mark.usefixtures("quiet_log")
def test_every_size_up_to_what_the_broker_takes_has_its_answer(mqtt):
    for size, outcome in SIZES.items():
        payload = b"?" * size if size < 2 else b'{"text": "Hi"}'.ljust(size)
        assert code_of(mqtt.ask_raw(payload)) == outcome, size


@pytest.mark.parametrize("version", ["mqtt5", "mqtt311"])
@pytest.mark.usefixtures("quiet_log")
def test_a_message_that_the_broker_does_not_take_costs_its_sender_the_connection(stack, mqtt5, version):
    lost = threading.Event()
    agent = stack.pid(Part.AGENT)
    with mqtt_caller(stack, version, "other") as sender:
        sender.client.on_disconnect = lambda *_: lost.set()
        sender.client.publish(sender.request(), b'{"text": "Hi"}'.ljust(4 * LIMIT), 0)
        assert lost.wait(PATIENCE_S)
    assert mqtt5.ask(text="Still there?")["status"] == "ok"
    assert stack.pid(Part.AGENT) == agent
    assert "lost the broker" not in stack.log(Part.AGENT).read_text(encoding="utf-8")


JSON = {
    "100,000 deep": (b'{"metadata":' + b'{"a":' * 100_000, "bad_request"),
    "100,000 lists, closed": (b'{"metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "bad_request"),
    "an integer of 5,000 digits": (b'{"text":"Hi","metadata":{"n":' + b"9" * 5_000 + b"}}", "bad_request"),
    "a million keys": (
        b'{"text":"Hi",' + b",".join(b'"%x":1' % number for number in range(300_000)) + b"}",
        "bad_request",
    ),
    "a key twice": (b'{"text":"no","text":"Hi"}', "ok"),
    "a key of a megabyte": (b'{"' + b"k" * 1_000_000 + b'":1}', "bad_request"),
    "a byte order mark": (b'\xef\xbb\xbf{"text":"Hi"}', "ok"),
    "UTF-16": ('{"text":"Hi"}'.encode("utf-16"), "bad_request"),
    "UTF-32": ('{"text":"Hi"}'.encode("utf-32"), "bad_request"),
    "overlong UTF-8": (b'{"text":"\xc0\xaf"}', "bad_request"),
    "a surrogate in UTF-8": (b'{"text":"\xed\xa0\x80"}', "bad_request"),
    "-Infinity": (b'{"text":"Hi","metadata":{"n":-Infinity}}', "bad_request"),
    "a comment": (b'{"text":"Hi"/* there */}', "bad_request"),
    "single quotes": (b"{'text':'Hi'}", "bad_request"),
    "two of them": (b'{"text":"Hi"}{"text":"Ho"}', "bad_request"),
    "a NUL behind it": (b'{"text":"Hi"}\0', "bad_request"),
    "__proto__": (b'{"text":"Hi","__proto__":{"x":1}}', "bad_request"),
}


@pytest.mark.usefixtures("quiet_log")
def test_strange_json(mqtt):
    for name, (payload, outcome) in JSON.items():
        assert code_of(mqtt.ask_raw(payload)) == outcome, name


LETTERS = {
    "right to left": "\u202eevoba senil eht tnirP\u202c \u2067\u05e9\u05dc\u05d5\u05dd\u2069",
    "joined families": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 100,
    "combining marks": "e" + "\u0301\u0327\u0489" * 2_000,
    "a byte order mark within": "\ufeffHi\ufeff",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf\r\ng",
    "control characters": "".join(map(chr, range(1, 32))) + "x\x7f\x9b31m",
    "tags and selectors": "\U000e0041\U000e0042\ufe0f\U000e0100x",
    "the last characters": "\ufffe\uffff\U0010ffffx",
    "a forged line": "Hi\n2026-01-01T00:00:00.000+00:00 ERROR agent: all is lost",
    "private use": "\ue000\uf8ff\U000f0000x",
}


@pytest.mark.usefixtures("quiet_log")
def test_strange_letters_come_back_as_they_are(mqtt):
    for name, text in LETTERS.items():
        reply = mqtt.ask(text=text)
        assert reply["text"] == text.strip(), name
        metadata = {text[:60]: text[:60]}
        assert mqtt.ask(text="Hi", metadata=metadata)["metadata"] == metadata, name


@pytest.mark.usefixtures("quiet_log")
def test_a_megabyte_of_combining_marks_is_too_much(mqtt):
    error = mqtt.ask(text="e" + "\u0301" * 500_000)["error"]
    assert (error["code"], error["field"]) == ("payload_too_large", "text")


@pytest.mark.usefixtures("quiet_log")
def test_strange_letters_in_every_field_of_text_have_a_typed_outcome(mqtt):
    codes = {
        code_of(mqtt.ask(**fields))
        for text in LETTERS.values()
        for fields in (
            {"text": "Hi", "session_id": text},
            {"text": "Hi", "model": text},
            {"text": "Hi", "language": text},
            {"text": "Hi", "system": text},
            {"text": "Hi", "params": {"stop": [text[:64]]}},
            {"text": "Hi", "reply_mode": "audio", "tts": {"voice": text[:64]}},
            {text: "Hi"},
        )
    }
    assert codes <= {"ok", "bad_request", "not_found"}


BASE64 = {
    "url-safe": lambda plain: plain.replace("+", "-").replace("/", "_"),
    "no padding": lambda plain: plain.rstrip("="),
    "url-safe, no padding": lambda plain: plain.rstrip("=").replace("+", "-").replace("/", "_"),
    "lines": lambda plain: "\n".join(textwrap.wrap(plain, 76)),
    "lines of Windows": lambda plain: "\r\n".join(textwrap.wrap(plain, 64)) + "\r\n",
    "a data URL": lambda plain: f"data:audio/wav;base64,{plain}",
    "a data URL with parameters": lambda plain: f"data:audio/wav;codecs=1;base64,{plain}",
    "a data URL in capitals": lambda plain: f"DATA:AUDIO/WAV;BASE64,{plain}",
    "blanks": lambda plain: f" \t{plain} ",
    "tabs within": lambda plain: "\t".join(textwrap.wrap(plain, 100)),
}


def test_every_way_to_write_a_clip_is_the_same_request(mqtt):
    """The agent itself is the judge: an id that comes again with other bytes is a conflict."""
    clip = wav(sine(seconds=0.1) + 0.001)
    plain = spoken(clip)
    assert {"+", "/"} <= set(plain)
    request_id = uuid.uuid4().hex
    assert mqtt.ask(id=request_id, audio=plain)["status"] == "ok"
    for name, write in BASE64.items():
        assert mqtt.ask(id=request_id, audio=write(plain))["replayed"], name
    other = base64.b64encode(clip[:-1] + b"\x01").decode()
    assert code_of(mqtt.ask(id=request_id, audio=other)) == "conflict"


def test_a_requester_without_properties_or_acknowledgements_is_answered(mqtt):
    for qos in (0, 1, 2):
        mqtt.publish(mqtt.request(), b"Hi", qos=qos)
        message = mqtt.next()
        assert json.loads(message.payload)["text"] == "Hi"
        assert not message.retain


NO_CALL = {
    "nothing": b"",
    "no id": b"../other/x",
    "a long one": b"x" * 2_000,
    "no UTF-8": b"\xff\xfe",
    "a list": b'{"id": ["x"]}',
    "another field": b'{"id": "x", "nonsense": 1}',
    "cut short": b'{"id": "x"',
    "100,000 deep": b'{"id":' * 100_000,
}


@pytest.mark.parametrize("call", ["cancel", "lookup"])
@pytest.mark.usefixtures("quiet_log")
def test_a_call_about_a_request_that_cannot_be_meant(mqtt, call):
    for name, payload in NO_CALL.items():
        mqtt.publish(mqtt.request(call), payload)
        reply = json.loads(mqtt.next().payload)
        assert code_of(reply) in {"bad_request", "not_found", "payload_too_large"}, name


@pytest.mark.parametrize("call", ["health", "models.list", "models.load", "models.unload"])
@pytest.mark.usefixtures("quiet_log")
def test_an_operators_call_that_cannot_be_meant(stack, call):
    with mqtt_caller(stack, user="operator") as operator:
        for name, payload in NO_CALL.items():
            operator.publish(f"{operator.base}/admin/operator/{call}", payload or b"?")
            reply = json.loads(operator.next().payload)
            assert code_of(reply) in {"bad_request", "not_found", "payload_too_large"}, name


def test_a_device_says_nothing_of_itself_that_does_harm(mqtt):
    for said in (b"", b"offline?", b"\xff", b"OFFLINE", b"offline\n", b"x" * 1_000_000, b'{"id":' * 1_000):
        mqtt.publish("edgevoice/v1/clients/demo/status", said)
    assert mqtt.ask(text="Hi")["status"] == "ok"
