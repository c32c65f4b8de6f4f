"""What is taken on and in which order: bounds, turns, the place in the queue, deadlines that pass in it."""

import json
import uuid
from typing import Any

import pytest

from agent.stack import Stack, StackSettings
from tests.callers import http_caller, mqtt_caller, spoken
from tests.cases.conftest import scripted
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

CLIP = wav(sine(seconds=2.0))
LIMITS = {
    "max_queued": 7,
    "max_queued_per_client": 4,
    "max_queued_bytes_per_client": 200_000,
    "max_queued_audio_s_per_client": 5.0,
}


@pytest.fixture(scope="module")
async def narrow(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """One request at a time, a handful in all; each word of an answer takes half a minute."""
    settings = StackSettings.scripted(
        llm=scripted(answer="{text} ...", piece_delay_s=30),
        users=("other",),
        environment={"EDGEVOICE_MAX_CONCURRENT": "1", "EDGEVOICE_LIMITS": json.dumps(LIMITS)},
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture(params=["mqtt5", "mqtt311"])
def caller(request, narrow):
    """A caller on each MQTT version, who leaves nothing behind."""
    with mqtt_caller(narrow, request.param) as caller:
        yield caller
        _leave_nothing(caller)
    for user in ("other", "bridge"):
        with mqtt_caller(narrow, request.param, user=user) as other:
            _leave_nothing(other)


def _leave_nothing(caller):
    caller.publish(caller.request("cancel"), {"all": True})
    cancel(caller, "last")
    assert caller.reply("last")["error"]["code"] == "not_found", "the agent has read all that came before"


def sent(caller, *, wait=False, **fields):
    """The id of a request that is on its way; or the reply, where that is waited for."""
    request_id = fields.setdefault("id", uuid.uuid4().hex)
    caller.publish(caller.request(), fields)
    return caller.reply(request_id) if wait else request_id


def events(caller, request_id, until):
    """The events of a request up to the first one of type `until`."""
    told: list[dict[str, Any]] = []
    while not told or told[-1]["type"] != until:
        told.append(json.loads(caller.next(f"{caller.reply_topic(request_id)}/event").payload))
    return told


def occupied(caller):
    """The id of a request that has the only turn."""
    request_id = sent(caller, text="first", stream={})
    events(caller, request_id, "token")
    return request_id


def look_up(caller, request_id):
    lookup_id = uuid.uuid4().hex
    caller.publish(caller.request("lookup"), {"id": lookup_id, "request_id": request_id})
    return caller.reply(lookup_id)["result"]


def cancel(caller, request_id):
    caller.publish(caller.request("cancel"), request_id)


def test_over_its_bound_a_client_is_busy_and_another_is_not(narrow, caller):
    occupied(caller)
    for _ in range(3):
        sent(caller, text="waits")
    error = sent(caller, text="one too many", wait=True)["error"]
    assert (error["code"], error["limit"], error["queue_depth"], error["retriable"]) == ("busy", 4, 4, True)
    assert 100 <= error["retry_after_ms"] <= 60_000
    with mqtt_caller(narrow, user="other") as other:
        request_id = sent(other, text="Hi")
        assert look_up(other, request_id)["position"] == 0, "it is the other's turn next"
        cancel(other, request_id)
        assert other.reply(request_id)["status"] == "cancelled"


def test_bytes_and_seconds_of_audio_are_bounded(caller):
    occupied(caller)
    for _ in range(2):
        sent(caller, audio=spoken(CLIP))
    assert "seconds of audio" in sent(caller, audio=spoken(CLIP), wait=True)["error"]["message"]
    sent(caller, text="x", metadata={})
    assert "requests" in sent(caller, text="x", wait=True)["error"]["message"]


def test_the_bridge_stands_for_many_but_not_for_all(narrow, caller):
    occupied(caller)
    with http_caller(narrow) as http, mqtt_caller(narrow, user="bridge") as bridge:
        waiting = [sent(bridge, text="waits") for _ in range(6)]
        answer = http.client.post("/v1/ask", json={"text": "Hi"})
        assert (answer.status_code, answer.json()["code"], answer.json()["queue_depth"]) == (503, "busy", 7)
        assert int(answer.headers["Retry-After"]) >= 1
        for request_id in waiting:
            cancel(bridge, request_id)
            assert bridge.reply(request_id)["status"] == "cancelled"


def test_who_waits_hears_where_it_stands_and_is_served_by_priority(caller):
    first = occupied(caller)
    low = sent(caller, text="low", stream={})
    high = sent(caller, text="high", stream={}, priority=9)
    queued = events(caller, high, "queued")
    assert [event["type"] for event in queued] == ["accepted", "queued"]
    assert (queued[1]["position"], queued[1]["eta_ms"] > 0) == (0, True)
    moved = events(caller, low, "queued")[-1]
    assert moved["position"] == 1, "the other one overtook it"
    assert [look_up(caller, request_id).get("position") for request_id in (first, high, low)] == [None, 0, 1]
    cancel(caller, first)
    events(caller, high, "token")
    assert [look_up(caller, request_id)["state"] for request_id in (first, high, low)] == ["done", "running", "queued"]


def test_a_deadline_that_passes_in_the_queue_costs_no_turn(caller):
    first = occupied(caller)
    reply = sent(caller, text="short of time", deadline_ms=200, wait=True)
    assert (reply["status"], "timings_ms" in reply, "queue" in reply["timings_ms"]) == ("expired", True, False)
    assert look_up(caller, first) == {"state": "running"}


@pytest.mark.parametrize("engine", ["audio", "wav"])
def test_a_clip_that_cannot_be_heard_takes_no_place_in_the_queue(caller, engine):
    occupied(caller)
    if engine == "wav":
        reply = caller.ask_wav(b"RIFF, but no more")
    else:
        reply = sent(caller, audio=spoken(b"no WAV at all"), wait=True)
    assert reply["error"]["code"] == "unsupported_media"
