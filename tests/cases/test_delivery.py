"""One outcome per id, however often it is asked; cancel; presence."""

import json
import threading
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import PATIENCE_S, http_caller, mqtt_caller, spoken
from tests.cases.conftest import scripted
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

CLIP = wav(sine(seconds=0.5))


@pytest.fixture(scope="module")
async def slow_stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A language model that takes a minute for its hundred words, one conversation at a time."""
    slow = EngineSettings(
        name="scripted", options={"answer": "word " * 100, "piece_delay_s": 0.6, "slots": 1}, cancel_grace_s=2
    )
    settings = StackSettings(stt=scripted(), llm=slow, tts=scripted())
    async with Stack(settings) as running:
        yield running


def started(caller, **fields):
    """The id of a request whose answer has begun."""
    request_id = uuid.uuid4().hex
    caller.publish(caller.request(), {"id": request_id, "text": "Hi", "stream": {"text": True}, **fields})
    topic = f"{caller.reply_topic(request_id)}/event"
    while json.loads(caller.next(topic).payload)["type"] != "token":
        pass
    return request_id


def test_the_same_id_again_is_the_same_reply_marked_as_such(mqtt):
    asked = {"id": uuid.uuid4().hex, "text": "Hi", "reply_mode": "audio"}
    first, second = mqtt.ask(**asked), mqtt.ask(**asked)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert second | {"replayed": False} == first


def test_another_question_of_the_same_id_is_a_conflict(caller):
    request_id = uuid.uuid4().hex
    caller.ask(id=request_id, text="Hi")
    assert caller.ask(id=request_id, text="Ho")["error"]["code"] == "conflict"
    assert caller.ask(id=request_id, text="Hi")["replayed"]


def test_an_id_is_one_clients_own(stack):
    request_id = uuid.uuid4().hex
    with mqtt_caller(stack) as demo, mqtt_caller(stack, user="other") as other, http_caller(stack) as http:
        assert [c.ask(id=request_id, text=c.name)["replayed"] for c in (demo, other, http)] == [False] * 3


def test_many_at_once_are_one_run_and_one_reply(mqtt):
    asked = {"id": uuid.uuid4().hex, "audio": spoken(CLIP)}
    for _ in range(50):
        mqtt.publish(mqtt.request(), asked)
    replies = [mqtt.reply(asked["id"])]
    marker = mqtt.ask(text="after")
    assert marker["status"] == "ok"
    replies += [json.loads(m.payload) for m in list(mqtt.arrived.queue) if m.topic == mqtt.reply_topic(asked["id"])]
    assert len({json.dumps(reply | {"replayed": False}, sort_keys=True) for reply in replies}) == 1
    assert [reply["replayed"] for reply in replies].count(False) == 1


def test_exactly_one_terminal_reply_to_each_of_many(mqtt):
    ids = [uuid.uuid4().hex for _ in range(60)]
    for request_id in ids:
        mqtt.publish(mqtt.request(), {"id": request_id, "text": request_id})
    replies = [json.loads(mqtt.next().payload) for _ in ids]
    assert {reply["id"]: reply["text"] for reply in replies} == {i: f"You said: {i}" for i in ids}
    mqtt.ask(text="after")
    assert mqtt.arrived.empty()


def test_what_is_over_the_bound_is_busy_at_once(stack):
    with mqtt_caller(stack) as caller:
        ids = [uuid.uuid4().hex for _ in range(200)]
        for request_id in ids:
            caller.client.publish(caller.request(), json.dumps({"id": request_id, "text": "Hi"}), 1)
        replies = [json.loads(caller.next().payload) for _ in ids]
    outcomes = {reply["error"]["code"] if "error" in reply else "ok" for reply in replies}
    assert outcomes <= {"ok", "busy"}
    assert all(reply["error"]["retry_after_ms"] >= 100 for reply in replies if "error" in reply)


@pytest.mark.parametrize("form", ["bare", "json"])
def test_cancel_stops_a_run_and_its_engine(slow_stack, form):
    with mqtt_caller(slow_stack) as caller:
        request_id = started(caller)
        caller.publish(caller.request("cancel"), request_id if form == "bare" else {"id": request_id})
        reply = caller.reply(request_id)
        assert (reply["status"], reply["finish_reason"]) == ("cancelled", "cancelled")
        assert reply["text"].startswith("word")
        again = started(caller)  # the one slot is free again, or this would wait for a minute
        caller.publish(caller.request("cancel"), again)


def test_a_cancelled_request_may_be_asked_again(slow_stack):
    with mqtt_caller(slow_stack) as caller:
        request_id = started(caller)
        for replayed_before in (False, False):
            caller.publish(caller.request("cancel"), request_id)
            reply = caller.reply(request_id)
            assert (reply["status"], reply["replayed"]) == ("cancelled", replayed_before)
            caller.publish(caller.request(), {"id": request_id, "text": "Hi", "stream": {"text": True}})
            while json.loads(caller.next(f"{caller.reply_topic(request_id)}/event").payload)["type"] != "token":
                pass
        caller.publish(caller.request("cancel"), request_id)


def test_one_request_is_not_sent_to_ever_more_topics(mqtt):
    request_id = uuid.uuid4().hex
    clip = spoken(wav(sine(seconds=20.0)))  # long enough to decode that all of them find it running
    topics = [mqtt.reply_topic(f"{request_id}/{number}") for number in range(8)]
    for topic in topics:
        mqtt.publish(mqtt.request(), {"id": request_id, "audio": clip, "reply_to": topic})
    arrived = {message.topic: json.loads(message.payload) for message in (mqtt.next() for _ in topics)}
    replies = [arrived[topic] for topic in topics]
    assert {reply["status"] for reply in replies} <= {"ok", "error"}
    assert {reply["error"]["code"] for reply in replies if "error" in reply} <= {"busy"}


def test_cancel_of_nothing_is_not_found(mqtt):
    request_id = uuid.uuid4().hex
    mqtt.publish(mqtt.request("cancel"), request_id)
    assert mqtt.reply(request_id)["error"]["code"] == "not_found"
    mqtt.publish(mqtt.request("cancel"), {"id": request_id, "all": True})
    assert mqtt.reply(request_id)["error"]["code"] == "bad_request"


def test_nobody_cancels_the_request_of_somebody_else(slow_stack):
    with mqtt_caller(slow_stack) as caller, mqtt_caller(slow_stack, user="bridge") as other:
        request_id = started(caller)
        other.publish(other.request("cancel"), request_id)
        assert other.reply(request_id)["error"]["code"] == "not_found"
        caller.publish(caller.request("cancel"), request_id)
        assert caller.reply(request_id)["status"] == "cancelled"


def test_a_deadline_stops_a_run_and_keeps_what_it_wrote(slow_stack):
    with mqtt_caller(slow_stack) as caller:
        reply = caller.ask(text="Hi", deadline_ms=1_500)
    assert (reply["status"], reply["finish_reason"], reply["error"]["code"]) == ("expired", "deadline", "expired")
    assert reply["text"].startswith("word")


def test_a_deadline_counts_the_wait_in_the_queue(slow_stack):
    with mqtt_caller(slow_stack) as caller:
        running = started(caller)
        assert caller.ask(text="Hi", deadline_ms=300)["status"] == "expired"
        caller.publish(caller.request("cancel"), running)


def test_over_http_a_deadline_is_408(slow_stack):
    with http_caller(slow_stack) as http:
        response = http.client.post("/v1/ask", json={"text": "Hi", "deadline_ms": 300})
    assert (response.status_code, response.json()["code"]) == (408, "expired")


def test_a_caller_that_hangs_up_cancels_its_run(slow_stack):
    states = ["edgevoice/v1/orin/state"]
    with mqtt_caller(slow_stack, filters=states) as watcher:

        def running(number):
            while json.loads(watcher.next().payload)["running"] != number:
                pass

        with http_caller(slow_stack) as http:
            asking = threading.Thread(target=_ask_and_be_cut_off, args=(http.client,))
            asking.start()
            running(1)
            asking.join(PATIENCE_S)
        running(0)


def _ask_and_be_cut_off(client):
    with pytest.raises(Exception, match="timed out"):
        client.post("/v1/ask", json={"text": "Hi"}, timeout=2)


def test_presence_is_there_for_who_comes_late(stack):
    topics = [f"edgevoice/v1/orin/{name}" for name in ("status", "info", "state")]
    with mqtt_caller(stack, filters=topics) as late:
        said: dict[str, bytes] = {}
        while len(said) < len(topics):
            message = late.next()
            assert message.retain
            said[message.topic.rpartition("/")[2]] = message.payload
    assert said["status"] == b"online"
    info, state = json.loads(said["info"]), json.loads(said["state"])
    assert info["limits"]["max_audio_s"] == 60
    assert {stage: engine["name"] for stage, engine in info["engines"].items()} == dict.fromkeys(
        ("stt", "llm", "tts"), "scripted"
    )
    assert set(info["operations"]) == {"chat", "transcribe", "speak", "cancel", "lookup", "session"}
    assert (state["phase"], state["accepting"], state["max_queued"]) == ("ready", True, 256)
    assert all(engine["ready"] for engine in state["engines"].values())
    assert state["memory_bytes"] > 1e6


async def test_the_agent_says_goodbye_and_the_broker_says_it_for_a_killed_one(anyio_backend):  # noqa: ARG001
    settings = StackSettings(stt=scripted(), llm=scripted(), tts=scripted(), parts=(Part.BROKER, Part.AGENT))
    async with Stack(settings) as stack:
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/state"]) as watcher:
            while json.loads(watcher.next().payload)["phase"] != "ready":
                pass  # a state is at most a second old
            await stack.restart(Part.AGENT)
            phases = [json.loads(watcher.next().payload)["phase"]]
            while phases[-1] != "ready":
                phases.append(json.loads(watcher.next().payload)["phase"])
            assert list(dict.fromkeys(phases)) == ["draining", "starting", "ready"]
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/status"]) as watcher:
            assert watcher.next().payload == b"online"
            await stack.stop(Part.AGENT)
            assert watcher.next().payload == b"offline"
            await stack.start(Part.AGENT)
            assert watcher.next().payload == b"offline"
            assert watcher.next().payload == b"online"
            await stack.kill(Part.AGENT)
            assert watcher.next().payload == b"offline"
