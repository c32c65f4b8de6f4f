"""What a caller asks and is answered, the same over MQTT 5, MQTT 3.1.1 and HTTP."""

import json

import numpy as np
import pytest

from agent.audio import decode_wav
from agent.contract.base64 import decode_base64
from tests.callers import spoken
from tests.cases.conftest import HEARD
from tests.wav_files import FLOAT, MU_LAW, sine, wav

CLIP = wav(sine(seconds=1.0))


def heard_audio(reply):
    """The reply's speech, which must be playable and as long as it says."""
    audio = decode_wav(decode_base64(reply["audio"]["data"]), max_s=60)
    assert audio.sample_rate == reply["audio"]["sample_rate"]
    assert round(audio.duration_s * 1_000) == pytest.approx(reply["audio"]["duration_ms"], abs=2)
    assert not audio.is_silent
    return audio


@pytest.mark.parametrize("mode", ["text", "audio", "both"])
def test_a_typed_question(caller, mode):
    reply = caller.ask(text="Hi there", reply_mode=mode, session_id="kitchen", metadata={"n": 1})
    assert (reply["status"], reply["text"], reply["finish_reason"]) == ("ok", "You said: Hi there", "stop")
    assert (reply["session_id"], reply["metadata"], reply["agent"], reply["v"]) == ("kitchen", {"n": 1}, "orin", 1)
    assert reply["engines"]["llm"].startswith("scripted/")
    assert {"queue", "llm_first_token", "llm", "total"} <= set(reply["timings_ms"])
    assert reply["usage"]["completion_tokens"] > 0
    assert "transcript" not in reply
    assert ("audio" in reply) == (mode != "text")
    if mode != "text":
        heard_audio(reply)
        assert reply["rates"]["tts_rtf"] > 0


@pytest.mark.parametrize("mode", ["text", "audio", "both"])
def test_a_spoken_question(caller, mode):
    reply = caller.ask(audio=spoken(CLIP), reply_mode=mode)
    assert reply["transcript"] == {"text": HEARD, "language": "en", "duration_ms": 1000}
    assert reply["text"] == f"You said: {HEARD}"
    assert {"stt", "llm"} <= set(reply["timings_ms"])
    assert reply["rates"]["stt_rtf"] > 0
    if mode != "text":
        heard_audio(reply)


@pytest.mark.parametrize("mode", ["text", "audio", "both"])
def test_a_wav_as_it_is(caller, mode):
    reply = caller.ask_wav(CLIP, mode)
    assert (reply["text"], reply["reply_mode"]) == (f"You said: {HEARD}", mode)
    assert ("audio" in reply) == (mode != "text")


@pytest.mark.parametrize(
    "clip",
    [
        wav(sine(8_000, seconds=0.5), rate=8_000, tag=MU_LAW, bits=8),
        wav(sine(192_000, seconds=0.5), rate=192_000, bits=32, extensible=True),
        wav(np.column_stack([sine(44_100, seconds=0.5)] * 2), rate=44_100, bits=24, data_size=0xFFFFFFFF),
        wav(sine(48_000, seconds=0.5), rate=48_000, tag=FLOAT, bits=32, data_size=0),
    ],
    ids=["8 kHz mu-law", "192 kHz 32 bit extensible", "stereo 24 bit of unknown length", "streamed float"],
)
def test_any_sensible_wav(caller, clip):
    assert caller.ask_wav(clip)["transcript"]["text"] == HEARD


def test_speech_too_large_for_the_broker_costs_the_speech_and_not_the_words(caller):
    reply = caller.ask(text="ha " * 2_600, reply_mode="both", params={"max_tokens": 9_000})
    assert (reply["status"], reply["error"]["code"]) == ("error", "reply_too_large")
    assert reply["text"].startswith("You said: ha")
    assert "audio" not in reply
    assert caller.ask(text="Hi")["status"] == "ok"


def test_a_conversation(caller):
    turns = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two."},
    ]
    assert caller.ask(messages=turns)["text"] == "You said: Two."


def test_the_answer_may_be_cut_and_sampled_at_will(caller):
    params = {"max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["x"], "repetition_penalty": 1.1}
    reply = caller.ask(text="a b c d", params=params)
    assert (reply["finish_reason"], reply["usage"]["completion_tokens"]) == ("length", 2)


def test_speech_in_the_rate_that_was_asked_for(caller):
    reply = caller.ask(text="Hi", reply_mode="audio", tts={"sample_rate": 8_000, "speed": 1.5})
    assert heard_audio(reply).sample_rate == 8_000


def test_transcribe_hears_and_asks_nobody(mqtt):
    reply = mqtt.ask("transcribe", audio=spoken(CLIP))
    assert (reply["transcript"]["text"], reply["reply_mode"]) == (HEARD, "text")
    assert set(reply["engines"]) == {"stt"}
    assert "text" not in reply


def test_speak_speaks_and_asks_nobody(mqtt):
    reply = mqtt.ask("speak", text="Hello world")
    assert reply["reply_mode"] == "audio"
    assert set(reply["engines"]) == {"tts"}
    heard_audio(reply)


def test_plain_text_is_a_question(mqtt):
    assert mqtt.ask_raw("What time is it?")["text"] == "You said: What time is it?"


def test_plain_text_over_http(http):
    assert http.ask_raw(b"What time?", "text/plain; charset=utf-8")["text"] == "You said: What time?"


def test_a_wav_without_a_word_is_a_spoken_question(mqtt):
    assert mqtt.ask_raw(CLIP)["transcript"]["text"] == HEARD


def test_mqtt5_properties_carry_what_json_would(mqtt5):
    topic = mqtt5.reply_topic("elsewhere/mine")
    properties = [("ev-id", "p1"), ("ev-session", "s1"), ("ev-reply-mode", "both"), ("ev-language", "en"), ("x", "y")]
    mqtt5.publish(
        mqtt5.request(),
        CLIP,
        ContentType="audio/wav",
        UserProperty=properties,
        ResponseTopic=topic,
        CorrelationData=b"\x00\x01",
    )
    message = mqtt5.next(topic)
    reply = json.loads(message.payload)
    assert (reply["id"], reply["session_id"], reply["reply_mode"]) == ("p1", "s1", "both")
    assert reply["transcript"]["text"] == HEARD
    assert message.properties.CorrelationData == b"\x00\x01"
    assert message.properties.ContentType == "application/json"
    assert not message.retain


def test_text_by_content_type(mqtt5):
    assert mqtt5.ask_raw('{"no": "json"}', ContentType="text/plain")["text"] == 'You said: {"no": "json"}'


def test_a_reply_topic_of_the_callers_own_by_json(mqtt):
    topic = mqtt.reply_topic("a/b/c")
    mqtt.publish(mqtt.request(), {"text": "Hi", "reply_to": topic})
    assert json.loads(mqtt.next(topic).payload)["text"] == "You said: Hi"


def test_events_come_in_order_before_the_reply_to_who_asks(mqtt):
    request_id = f"events-{mqtt.name}"
    mqtt.publish(
        mqtt.request(), {"id": request_id, "audio": spoken(CLIP), "reply_mode": "both", "stream": {"text": True}}
    )
    topic = mqtt.reply_topic(request_id)
    events = []
    while (message := mqtt.next()).topic != topic:
        assert message.topic == f"{topic}/event"
        events.append(json.loads(message.payload))
    assert [event["seq"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert [kind for kind in kinds if kind != "token"] == [
        "accepted",
        "stt_start",
        "stt_end",
        "llm_start",
        "llm_end",
        "tts_start",
        "sentence",
        "tts_end",
    ]
    assert "".join(event["delta"] for event in events if event["type"] == "token").strip() == f"You said: {HEARD}"


def test_an_answer_that_begins_with_a_stop_string_is_empty_and_no_failure(caller):
    reply = caller.ask(text="Hi", params={"stop": ["You"]})
    assert (reply["status"], reply["text"], reply["finish_reason"]) == ("ok", "", "stop")


def test_a_question_of_qos_0_or_2_is_answered_too(mqtt):
    for qos in (0, 2):
        request_id = f"{mqtt.name}-qos{qos}"
        mqtt.publish(mqtt.request(), {"id": request_id, "text": "Hi"}, qos=qos)
        assert mqtt.reply(request_id)["status"] == "ok"
