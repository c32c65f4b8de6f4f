"""What a message becomes: one form, one deadline, one place for the outcome."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.contract.messages import StreamOptions
from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Topics
from agent.intake import Intake
from agent.mqtt.message import Message
from agent.replies.addressing import salvage
from tests.callers import spoken
from tests.wav_files import sine, wav

TOPICS = Topics()
CHAT = TOPICS.request("demo", Operation.CHAT)
MINE = TOPICS.reply("demo", "")
CLIP, LONG_CLIP = wav(sine(seconds=0.5)), wav(sine(seconds=1.5))


def read(payload, *, limits=None, topic=CHAT, **properties):
    message = Message(topic, payload, **properties)
    return Intake(TOPICS, limits or Limits(), ("shared/replies",)).read(message, TOPICS.parse_request(topic))


def reply_to(payload, *, topic=CHAT, **properties):
    return Intake(TOPICS, Limits(), ("shared/replies",)).reply_to(Message(topic, payload, **properties), "demo", None)


@pytest.mark.parametrize(
    ("asked_ms", "expiry_s", "holds_ms"),
    [
        (None, None, 60_000),
        (5_000, None, 5_000),
        (None, 7, 7_000),
        (5_000, 7, 5_000),
        (9_000, 7, 7_000),
        (10**9, None, 600_000),
    ],
)
def test_the_smallest_deadline_holds(asked_ms, expiry_s, holds_ms):
    fields = {"text": "Hi"} | ({"deadline_ms": asked_ms} if asked_ms else {})
    asked = read(json.dumps(fields).encode(), expiry_s=expiry_s)
    assert asked.request.deadline_ms == holds_ms


def test_audio_is_bytes_from_here_on():
    asked = read(json.dumps({"audio": spoken(CLIP), "reply_mode": "both"}).encode())
    assert (asked.clip, asked.request.audio, asked.request.reply_mode) == (CLIP, None, ReplyMode.BOTH)


@pytest.mark.parametrize(
    ("stream", "wanted"), [("text", (True, False)), ("audio", (False, True)), ("audio, text", (True, True))]
)
def test_raw_audio_says_in_properties_what_it_wants(stream, wanted):
    named = (("ev-stream", stream), ("ev-model", "parrot"))
    asked = read(CLIP, content_type="audio/wav", user_properties=named)
    assert (asked.request.model, asked.request.stream) == ("parrot", StreamOptions(text=wanted[0], audio=wanted[1]))


def test_a_clip_in_pieces_says_it_so_too():
    named = (("ev-stream", "audio"), ("ev-session", "hall"))
    message = Message("edgevoice/v1/orin/request/demo/stream/7/start", b"", user_properties=named)
    start, asked = Intake(TOPICS, Limits(), ()).read_start(message, TOPICS.parse_request(message.topic))
    assert (start.session_id, asked.request.stream) == ("hall", StreamOptions(text=False, audio=True))


def test_a_wish_nobody_knows_is_an_error_that_names_it():
    with pytest.raises(ContractError) as caught:
        read(CLIP, content_type="audio/wav", user_properties=(("ev-stream", "video"),))
    assert (caught.value.code, caught.value.field) == (ErrorCode.BAD_REQUEST, "stream.video")


def test_a_message_that_arrives_with_no_time_left_is_late():
    assert [read(b"Hi", expiry_s=expiry_s).late for expiry_s in (0, 1, None)] == [True, False, False]


@pytest.mark.parametrize(
    ("clip", "code"), [(b"RIFF", ErrorCode.UNSUPPORTED_MEDIA), (LONG_CLIP, ErrorCode.AUDIO_TOO_LONG)]
)
def test_a_clip_that_cannot_be_heard_is_refused_by_its_header(clip, code):
    for payload, topic in [
        (json.dumps({"audio": spoken(clip)}).encode(), CHAT),
        (clip, CHAT),
        (clip, TOPICS.wav("demo", "w", ReplyMode.TEXT)),
    ]:
        with pytest.raises(ContractError) as caught:
            read(payload, topic=topic, limits=Limits(max_audio_s=1.0))
        assert caught.value.code is code


@pytest.mark.parametrize(
    ("payload", "properties", "code"),
    [
        (b'{"text": "Hi"}' + b" " * 1_024, {}, ErrorCode.PAYLOAD_TOO_LARGE),
        (b'{"text": "' + b"x" * 101 + b'"}', {}, ErrorCode.PAYLOAD_TOO_LARGE),
        (b'{"audio": "?"}', {}, ErrorCode.UNSUPPORTED_MEDIA),
        (b"<x/>", {"content_type": "text/html"}, ErrorCode.UNSUPPORTED_MEDIA),
        (b"\xff", {}, ErrorCode.BAD_REQUEST),
        (b'{"text": "Hi", "reply_to": "home/lock"}', {}, ErrorCode.FORBIDDEN),
        (b"Hi", {"response_topic": "home/lock"}, ErrorCode.FORBIDDEN),
        (b"Hi", {"user_properties": (("ev-id", "a/b"),)}, ErrorCode.BAD_REQUEST),
    ],
)
def test_what_cannot_be_read_says_why(payload, properties, code):
    with pytest.raises(ContractError) as caught:
        read(payload, limits=Limits(max_message_bytes=1_024, max_text_chars=100), **properties)
    assert caught.value.code is code


def test_the_outcome_goes_where_it_is_wanted_and_allowed():
    assert reply_to(b'{"id": "7", "reply_to": "shared/replies/x", bad')[1].topic == "shared/replies/x"
    assert reply_to(b'{"id": "7", "reply_to": "home/lock", bad')[1].topic == f"{MINE}7"
    assert reply_to(b"bad", response_topic=f"{MINE}rr")[1].topic == f"{MINE}rr"
    assert reply_to(b"bad", user_properties=(("ev-id", "p"),))[0] == "p"
    assert reply_to(b"bad", topic=TOPICS.wav("demo", "w", ReplyMode.TEXT))[0] == "w"
    made_up, to = reply_to(b"bad")
    assert to.topic == f"{MINE}{made_up}"


class TestSalvage:
    def test_finds_what_addresses_the_error(self):
        assert salvage(b'{"id":"7","reply_to" : "a/b","text":"cut of') == {"id": "7", "reply_to": "a/b"}

    def test_looks_at_both_ends_of_a_large_one(self):
        audio = b"A" * 1_000_000
        assert salvage(b'{"id":"7","audio":"' + audio + b'","reply_to":"a/b"}') == {"id": "7", "reply_to": "a/b"}

    def test_the_first_of_two_counts(self):
        assert salvage(b'{"id":"7","metadata":{"id":"8"}') == {"id": "7"}

    def test_quoted_text_is_no_field(self):
        assert salvage(json.dumps({"text": 'say "id":"7"'}).encode()) == {}

    @given(st.binary())
    @example(b'"id":"\xff\xfe"')
    def test_never_fails(self, payload):
        for found in (salvage(payload), salvage(payload * 50), salvage(b'{"id":"' + payload)):
            assert found.keys() <= {"id", "reply_to"}
            assert all(found.values())


@given(st.binary(), st.none() | st.sampled_from(["audio/wav", "text/plain", "application/json", "x/y", ""]))
def test_any_message_is_a_request_or_a_typed_error(payload, content_type):
    try:
        asked = read(payload, content_type=content_type)
    except ContractError as refused:
        assert refused.message  # noqa: PT017 - both outcomes are right
    else:
        assert asked.request.deadline_ms == 60_000
