"""A clip that is sent in pieces while it is being recorded, over a real broker, on both MQTT versions."""

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from agent.audio import Audio, encode_wav
from agent.contract.messages import Request
from agent.engines.settings import EngineSettings
from agent.engines.tts_espeak import Espeak, EspeakOptions
from agent.stack import Part, Stack, StackSettings
from tests.callers import mqtt_caller, spoken
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

HEARD = "turn on the kitchen lights"
CLIP = wav(sine(seconds=2.0, rate=8_000), rate=8_000)
SAMPLES = {"format": "pcm_s16le", "sample_rate": 8_000}
PACE = 0.5
"""What the engine takes for a clip that it gets as a whole, by its length."""
CHUNK = 1_500
"""Divides neither the header nor the samples evenly."""


def scripted(**options):
    return EngineSettings(name="scripted", options=options)


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    settings = StackSettings.scripted(
        stt=scripted(text=HEARD, pace=PACE),
        users=("other",),
        parts=(Part.BROKER, Part.AGENT),
        environment={"EDGEVOICE_LIMITS__UPLOAD_IDLE_MS": "700", "EDGEVOICE_LIMITS__MAX_UPLOAD_S": "20"},
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture(params=["mqtt5", "mqtt311"])
def caller(request, stack):
    """A caller on each MQTT version."""
    with mqtt_caller(stack, request.param) as caller:
        yield caller


@pytest.fixture
def other(stack):
    with mqtt_caller(stack, user="other") as caller:
        yield caller


def cut(clip, size=CHUNK):
    return [clip[start : start + size] for start in range(0, len(clip), size)]


class Clip:
    """One clip on its way, sent as a device does."""

    def __init__(self, caller, clip=CLIP, **start):
        self.caller, self.pieces, self.id = caller, cut(clip), uuid.uuid4().hex
        self.fields = start

    def start(self, **properties):
        self.send("start", self.fields, **properties)
        return self

    def send(self, level, payload=b"", **properties):
        self.caller.publish(self.caller.request(f"stream/{self.id}/{level}"), payload, **properties)

    def chunks(self, *numbers):
        """Sends these, or all in order."""
        for number in numbers or range(len(self.pieces)):
            self.send(number, self.pieces[number])
        return self

    def end(self):
        self.send("end", {"chunks": len(self.pieces)})
        return self

    def event(self):
        return json.loads(self.caller.next(f"{self.caller.reply_topic(self.id)}/event").payload)

    def reply(self):
        return self.caller.reply(self.id)


def assert_heard(clip, sent=CLIP):
    """What was taken on is the clip that was sent, byte for byte: the same, sent whole, is the same request."""
    reply = clip.reply()
    assert reply["status"] == "ok", reply
    assert reply["transcript"]["text"] == HEARD
    asked = {name: value for name, value in clip.fields.items() if name in Request.model_fields}
    clip.caller.publish(clip.caller.request(), {"id": clip.id, "audio": spoken(sent), **asked})
    again = clip.reply()
    assert (again["status"], again["replayed"]) == ("ok", True)


def test_a_clip_in_pieces_is_a_request_like_any_other(caller):
    assert_heard(Clip(caller).start().chunks().end())


def test_it_is_heard_while_it_arrives(caller):
    live = Clip(caller).start().chunks().end().reply()
    whole = caller.ask(audio=spoken(CLIP))
    assert live["timings_ms"]["stt"] < PACE * 2_000 <= whole["timings_ms"]["stt"]


def test_samples_alone_do(caller):
    clip = Clip(caller, CLIP[44:], **SAMPLES).start().chunks().end()
    assert_heard(clip)


def test_a_stream_writer_does_not_know_how_long_it_will_be(caller):
    unknown = b"\xff" * 4
    clip = CLIP[:4] + unknown + CLIP[8:40] + unknown + CLIP[44:]
    assert_heard(Clip(caller, clip).start().chunks().end(), clip)


def test_it_may_be_written_down_and_that_is_all(caller):
    reply = Clip(caller, operation="transcribe").start().chunks().end().reply()
    assert (reply["transcript"]["text"], set(reply["engines"])) == (HEARD, {"stt"})


def test_pieces_may_come_in_any_order_and_twice(caller):
    clip = Clip(caller)
    numbers = list(range(len(clip.pieces))) * 2
    np.random.default_rng(7).shuffle(numbers)
    assert_heard(clip.start().chunks(*numbers).end())


def test_what_is_missing_is_asked_for_and_the_events_go_on(caller):
    clip = Clip(caller, stream={}).start().chunks(0, 1, 4).end()
    nack = clip.event()
    assert (nack["type"], nack["seq"], nack["missing"]) == ("nack", 0, [2, 3, *range(5, len(clip.pieces))])
    accepted = clip.chunks(*nack["missing"]).event()
    assert (accepted["type"], accepted["seq"]) == ("accepted", 1)
    assert_heard(clip)


def test_what_is_missing_is_asked_for_whether_events_are_wanted_or_not(caller):
    clip = Clip(caller).start().chunks(1)
    assert clip.event()["missing"] == [0]
    clip.chunks(0, *range(2, len(clip.pieces))).end()
    assert_heard(clip)


def test_what_never_comes_ends_it(caller):
    reply = Clip(caller).start().chunks(0, 2).reply()
    assert (reply["status"], reply["error"]["reason"]) == ("expired", "chunks_missing")


def test_a_clip_that_stops_without_an_end_ends_there(caller):
    assert_heard(Clip(caller, end_silence_ms=0).start().chunks())


def test_an_empty_clip_is_no_speech(caller):
    clip = Clip(caller).start()
    clip.send("end")
    error = clip.reply()["error"]
    assert (error["code"], error["reason"]) == ("no_speech", "empty_audio")


@pytest.mark.embedded
def test_the_end_of_speech_ends_it(stack):
    voice = Espeak(EspeakOptions(voice="en-us"), Path())
    said = voice.synthesize("Turn on the kitchen lights.", voice=None, speed=1.0, cancelled=lambda: False)
    voice.close()
    silence = np.zeros(round(1.5 * said.sample_rate), dtype=np.float32)
    whole = encode_wav(Audio(np.concatenate((said.samples, silence)), said.sample_rate))
    with mqtt_caller(stack) as caller:
        clip = Clip(caller, whole).start().chunks().end()
        assert clip.reply()["transcript"]["text"] == HEARD
        caller.publish(caller.request(f"wav/{clip.id}/text"), whole)
        assert clip.reply()["error"]["code"] == "conflict", "its end was not needed"


def test_who_is_cancelled_hears_so_and_what_it_sends_then_is_passed_over(caller):
    clip = Clip(caller).start().chunks(0, 1)
    asked = uuid.uuid4().hex
    caller.publish(caller.request("lookup"), {"id": asked, "request_id": clip.id})
    assert caller.reply(asked)["result"]["state"] == "arriving"
    caller.publish(caller.request("cancel"), clip.id)
    reply = clip.reply()
    assert (reply["status"], reply["error"]["reason"]) == ("cancelled", "caller")
    clip.chunks().end()
    assert caller.ask(text="Hi")["status"] == "ok"
    assert_heard(Clip(caller).start().chunks().end())


def test_who_asks_something_else_ends_what_he_was_saying(caller):
    clip, elsewhere = (Clip(caller, session_id=name).start().chunks(0, 1) for name in ("hall", "kitchen"))
    caller.publish(caller.request(), {"text": "Hi", "id": f"{clip.id}-2", "session_id": "hall", "barge_in": True})
    replies = [clip.reply(), caller.reply(f"{clip.id}-2")]
    assert [reply["status"] for reply in replies] == ["cancelled", "ok"]
    assert replies[0]["error"]["reason"] == "barge_in"
    elsewhere.chunks().end()
    assert_heard(elsewhere)


def test_a_clip_that_is_too_long_is_refused_while_it_arrives(caller):
    clip = Clip(caller, bytes(2 * 21 * 8_000), **SAMPLES)
    clip.pieces = cut(bytes(2 * 21 * 8_000), 65_536)
    reply = clip.start().chunks().reply()
    assert (reply["error"]["code"], reply["error"]["limit"]) == ("audio_too_long", 20.0)


def test_what_cannot_be_sent_in_pieces_says_why(caller):
    error = Clip(caller, format="opus").start().reply()["error"]
    assert (error["code"], error["field"]) == ("bad_request", "format")
    clip = Clip(caller, text="Hi").start()
    assert clip.reply()["error"]["message"] == "the clip is the question: leave out text"
    clip = Clip(caller)
    clip.send("first", b"")
    assert clip.reply()["error"]["reason"] == "bad_chunk"


def test_callers_do_not_mix(caller, other):
    lower = wav(sine(seconds=2.0, rate=8_000, hz=200), rate=8_000)
    clips = [Clip(caller), Clip(other, lower), Clip(caller, lower)]
    clips[1].id = clips[0].id
    for clip in clips:
        clip.start()
    for number in range(len(clips[0].pieces)):
        for clip in clips:
            clip.chunks(number)
    for clip, sent in zip(clips, (CLIP, lower, lower), strict=True):
        clip.end()
        assert_heard(clip, sent)


def test_nobody_sends_pieces_of_somebody_elses_clip(caller, other):
    clip = Clip(caller).start().chunks(0, 1)
    for number in range(2, len(clip.pieces)):
        other.publish(caller.request(f"stream/{clip.id}/{number}"), bytes(CHUNK))
    assert other.ask(text="Hi")["status"] == "ok", "what came before that was delivered, or never will be"
    clip.chunks(*range(2, len(clip.pieces))).end()
    assert_heard(clip)


def test_a_start_that_is_retained_begins_nothing(caller):
    clip = Clip(caller).start(retain=True).chunks(0)
    reply = clip.reply()
    assert (reply["error"]["code"], reply["error"]["reason"]) == ("not_found", "no_upload")
    clip.send("start", b"", retain=True)


async def test_an_agent_that_was_killed_has_it_begin_again(stack):
    with mqtt_caller(stack) as caller:
        clip = Clip(caller).start().chunks(0, 1, 2)
        assert caller.ask(text="Hi")["status"] == "ok"
        await stack.kill(Part.AGENT)
        clip.chunks(3, 4).end()
        await stack.start(Part.AGENT)
        reply = clip.reply()
        assert (reply["error"]["reason"], reply["error"]["retriable"]) == ("no_upload", True)
        assert_heard(clip.start().chunks().end())


async def test_an_agent_that_is_stopped_has_it_begin_again(stack):
    with mqtt_caller(stack) as caller:
        clip = Clip(caller).start().chunks(0, 1, 2)
        assert caller.ask(text="Hi")["status"] == "ok"
        await stack.stop(Part.AGENT)
        assert clip.reply()["error"]["reason"] == "no_upload"
        clip.start().chunks().end()
        await stack.start(Part.AGENT)
        assert_heard(clip)
