"""Hearing an answer while it is being written: chunks of speech over MQTT, and how they are cut off."""

import json
import uuid
from typing import Any

import paho.mqtt.client as paho
import pytest
import soundfile

from agent.audio import decode_wav
from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import mqtt_caller

pytestmark = pytest.mark.once

SENTENCES = ("The first one is here already.", "The second one is still to come!", "And this is the very last of them.")
ANSWER = " ".join(SENTENCES)
S_PER_CHARACTER = 0.06
"""How long the scripted voice takes."""


@pytest.fixture(scope="module")
async def storyteller(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A model that repeats the question word by word, and takes its time after a sentence it was told to stop at."""
    settings = StackSettings.scripted(
        llm=EngineSettings(name="scripted", options={"answer": "{text}", "piece_delay_s": 0.002}),
        environment={
            "EDGEVOICE_MODELS": json.dumps(
                {"slow": {"name": "scripted", "options": {"answer": ANSWER, "piece_delay_s": 0.08}, "load": "start"}}
            )
        },
        parts=(Part.BROKER, Part.AGENT),
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture(params=["mqtt5", "mqtt311"])
def caller(request, storyteller):
    """A caller on each MQTT version."""
    with mqtt_caller(storyteller, request.param) as caller:
        yield caller


def ask(caller, text, **fields):
    """The id of a request whose answer is `text`, to be heard in chunks."""
    request_id = uuid.uuid4().hex
    asked = {"id": request_id, "text": text, "reply_mode": "both", "stream": {"audio": True}, **fields}
    caller.publish(caller.request(), asked)
    return request_id


def heard(caller, request_id):
    """All that arrives of a run: its events, its chunks, its reply."""
    topic = caller.reply_topic(request_id)
    events: list[dict[str, Any]] = []
    chunks: list[paho.MQTTMessage] = []
    while (message := caller.next()).topic != topic:
        if message.topic == f"{topic}/event":
            events.append(json.loads(message.payload))
        elif message.topic.startswith(f"{topic}/audio/"):
            assert message.topic == f"{topic}/audio/{len(chunks)}"
            chunks.append(message)
    return events, chunks, json.loads(message.payload)


def test_an_answer_comes_sentence_by_sentence_each_playable_by_itself(caller):
    events, chunks, reply = heard(caller, ask(caller, ANSWER))
    assert [decode_wav(chunk.payload, max_s=10).duration_s for chunk in chunks] == pytest.approx(
        [len(text) * S_PER_CHARACTER for text in SENTENCES], abs=0.01
    )
    assert (reply["text"], reply["audio"]["chunks"], reply["audio"].get("data")) == (ANSWER, 3, None)
    assert [event["text"] for event in events if event["type"] == "audio"] == list(SENTENCES)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert "".join(event.get("delta", "") for event in events) == ANSWER


def test_speech_is_there_before_the_answer_is_written(caller):
    request_id = ask(caller, "Tell me.", model="slow")
    topic, kinds = caller.reply_topic(request_id), []
    while (message := caller.next()).topic != topic:
        kinds.append(json.loads(message.payload)["type"] if message.topic.endswith("/event") else "chunk")
    assert kinds.index("chunk") < kinds.index("llm_end") < kinds.index("tts_end")


def test_who_wants_only_the_speech_gets_no_events(caller):
    events, chunks, _ = heard(caller, ask(caller, ANSWER, stream={"text": False, "audio": True}))
    assert (events, len(chunks)) == ([], 3)


@pytest.mark.parametrize(
    ("voice", "content_type", "rate"),
    [
        ({"format": "pcm_s16le", "sample_rate": 8_000}, "audio/pcm;rate=8000;channels=1", 8_000),
        ({"format": "opus", "sample_rate": 22_050}, "audio/ogg", 24_000),
        ({"sample_rate": 44_100}, "audio/wav", 44_100),
    ],
)
def test_a_device_gets_the_format_the_rate_and_the_size_it_can_hold(caller, tmp_path, voice, content_type, rate):
    stream = {"audio": True, "chunk_bytes": 4_096}
    _, chunks, reply = heard(caller, ask(caller, ANSWER, tts=voice, stream=stream))
    total_s = 0.0
    for number, chunk in enumerate(chunks):
        assert len(chunk.payload) <= 4_096
        assert not caller.v5 or chunk.properties.ContentType == content_type
        file = tmp_path / f"{number}.ogg"
        file.write_bytes(chunk.payload)
        if voice.get("format") == "pcm_s16le":
            total_s += len(chunk.payload) / 2 / rate
        else:
            info = soundfile.info(file)
            total_s += info.duration
            assert (info.samplerate, info.channels) == (rate, 1)
    assert total_s == pytest.approx(len("".join(SENTENCES)) * S_PER_CHARACTER, abs=0.1)
    assert (reply["audio"]["sample_rate"], reply["audio"]["chunks"]) == (rate, len(chunks))


def test_answers_that_are_spoken_at_once_never_mix(caller):
    asked = {ask(caller, " ".join(f"{'Word ' * (3 + number)}end." for _ in range(4))): number for number in range(12)}
    chunks: dict[str, list[float]] = {request_id: [] for request_id in asked}
    left = {caller.reply_topic(request_id) for request_id in asked}
    while left:
        message = caller.next()
        left.discard(message.topic)
        if "/audio/" in message.topic:
            chunks[message.topic.split("/")[-3]].append(decode_wav(message.payload, max_s=20).duration_s)
    for request_id, number in asked.items():
        sentence_s = len(f"{'Word ' * (3 + number)}end.") * S_PER_CHARACTER
        assert sum(chunks[request_id]) == pytest.approx(4 * sentence_s, abs=0.3)


def test_barging_in_ends_what_the_same_conversation_was_saying(caller):
    first = ask(caller, "Tell me.", model="slow", session_id="kitchen")
    other = ask(caller, "Tell me.", model="slow", session_id="bath")
    while not caller.next().topic.startswith(f"{caller.reply_topic(first)}/audio/"):
        pass
    second = ask(caller, ANSWER, session_id="kitchen", barge_in=True)
    replies: dict[str, dict[str, Any]] = {}
    topics = {caller.reply_topic(each): each for each in (first, other, second)}
    while len(replies) < 3:
        message = caller.next()
        if request_id := topics.get(message.topic):
            replies[request_id] = json.loads(message.payload)
    assert (replies[first]["status"], replies[first]["error"]["reason"]) == ("cancelled", "barge_in")
    assert SENTENCES[0].startswith(replies[first]["heard_text"])
    assert replies[second]["status"] == replies[other]["status"] == "ok"
    assert next(iter(replies)) == first


def test_a_cancel_that_tells_what_was_played_keeps_just_that(caller):
    request_id = ask(caller, "Tell me.", model="slow")
    while not caller.next().topic.startswith(f"{caller.reply_topic(request_id)}/audio/1"):
        pass
    caller.publish(caller.request("cancel"), {"id": request_id, "last_seq": 0})
    reply = caller.reply(request_id)
    assert (reply["status"], reply["heard_text"]) == ("cancelled", SENTENCES[0])
