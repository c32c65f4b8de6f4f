"""A cancel frees the engine, not only the caller: by id, by session, all of them, or because its device is gone."""

import json
import time
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import PATIENCE_S, mqtt_caller, spoken
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

CLIP = wav(sine(seconds=40.0, rate=8_000), rate=8_000)
FOREVER = {
    "stt": ("transcribe", {"audio": spoken(CLIP)}, "stt_start"),
    "llm": ("chat", {"text": "Hi"}, "token"),
    "tts": ("speak", {"text": "Word " * 200}, "tts_start"),
}
"""Stage → an operation that stays in it, what to ask, and the event that tells that it is there."""


def slow(**options):
    """An engine that ends a cancelled call by itself, or not for a long time."""
    return EngineSettings(name="scripted", options=options, cancel_grace_s=30)


@pytest.fixture(scope="module")
async def patient(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """Engines that take longer for what is asked here than any test waits, though they are soon warm."""
    settings = StackSettings(
        stt=slow(pace=1),
        llm=slow(answer="word " * 100, piece_delay_s=60, slots=1),
        tts=slow(pace=1),
        parts=(Part.BROKER, Part.AGENT),
    )
    async with Stack(settings) as running:
        yield running


@pytest.fixture(params=["mqtt5", "mqtt311"])
def caller(request, patient):
    """A caller on each MQTT version."""
    with mqtt_caller(patient, request.param) as caller:
        yield caller


@pytest.fixture
def engines(patient):
    """Tells how the engines fare, at the moment."""
    with mqtt_caller(patient, user="operator") as operator:

        def ask():
            call = uuid.uuid4().hex
            operator.publish(f"{operator.base}/admin/operator/health", {"id": call})
            return operator.reply(call)["result"]["state"]["engines"]

        yield ask


def begun(caller, stage, **fields):
    """The id of a request whose `stage` goes on."""
    operation, asked, event = FOREVER[stage]
    request_id = uuid.uuid4().hex
    caller.publish(caller.request(operation), {"id": request_id, "stream": {}, **asked, **fields})
    while json.loads(caller.next(f"{caller.reply_topic(request_id)}/event").payload)["type"] != event:
        pass
    return request_id


def assert_free(engines):
    """Returns once no engine is in the middle of anything, long before it would be; none was killed for it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and any(engine["busy"] for engine in engines().values()):
        pass
    told = {stage: (engine["busy"], engine["restarts"]) for stage, engine in engines().items()}
    assert told == dict.fromkeys(("stt", "llm", "tts"), (0, 0))


@pytest.mark.parametrize("stage", FOREVER)
def test_a_cancel_frees_the_engine_of_each_stage(caller, engines, stage):
    request_id = begun(caller, stage)
    while not engines()[stage]["busy"]:
        pass
    caller.publish(caller.request("cancel"), request_id)
    reply = caller.reply(request_id)
    assert (reply["status"], reply["error"]["code"], reply["error"]["reason"]) == ("cancelled", "cancelled", "caller")
    assert_free(engines)


@pytest.mark.parametrize("stage", FOREVER)
def test_a_deadline_frees_the_engine_of_each_stage(patient, engines, stage):
    with mqtt_caller(patient) as caller:
        reply = caller.reply(begun(caller, stage, deadline_ms=500))
    assert reply["status"] == "expired"
    assert_free(engines)


def test_a_session_is_cancelled_as_a_whole_and_nothing_else(caller, engines):
    other = begun(caller, "stt", session_id="hall")
    running, waiting = begun(caller, "llm", session_id="kitchen"), uuid.uuid4().hex
    caller.publish(caller.request(), {"id": waiting, "text": "Hi", "session_id": "kitchen"})
    caller.publish(caller.request("cancel"), {"session_id": "kitchen"})
    replies = {message["id"]: message["status"] for message in (_reply(caller), _reply(caller))}
    assert replies == {running: "cancelled", waiting: "cancelled"}
    assert engines()["stt"]["busy"] == 1
    caller.publish(caller.request("cancel"), {"all": True})
    assert caller.reply(other)["status"] == "cancelled"
    assert_free(engines)


def test_all_means_what_has_only_just_been_sent_too(caller, engines):
    ids = [uuid.uuid4().hex for _ in range(20)]
    for request_id in ids:
        caller.client.publish(caller.request(), json.dumps({"id": request_id, "text": "Hi"}), 1)
    caller.publish(caller.request("cancel"), {"all": True})
    assert {(reply := _reply(caller))["id"]: reply["status"] for _ in ids} == dict.fromkeys(ids, "cancelled")
    assert_free(engines)


def test_a_cancel_of_all_where_nothing_runs_is_silent(caller):
    for nothing in ({"all": True}, {"session_id": "nobody"}):
        caller.publish(caller.request("cancel"), nothing)
    caller.publish(caller.request("cancel"), "marker")
    assert json.loads(caller.next().payload)["id"] == "marker"


def test_a_device_that_goes_offline_takes_its_runs_along(caller, engines):
    status = "edgevoice/v1/clients/demo/status"
    request_id = begun(caller, "llm")
    caller.publish(status, "online", retain=True)
    caller.publish(status, "offline", retain=True)
    reply = caller.reply(request_id)
    assert (reply["status"], reply["error"]["reason"]) == ("cancelled", "client_offline")
    assert_free(engines)
    again = begun(caller, "llm")  # what is retained of it does no harm
    caller.publish(caller.request("cancel"), again)
    assert caller.reply(again)["error"]["reason"] == "caller"


def _reply(caller):
    """The next terminal reply."""
    while (message := caller.next()).topic.endswith("/event"):
        pass
    return json.loads(message.payload)


def test_asked_again_right_after_a_cancel_it_is_begun_anew(caller):
    request_id = begun(caller, "llm")
    caller.client.publish(caller.request("cancel"), request_id, 1)
    caller.publish(caller.request(), {"id": request_id, "stream": {}, "text": "Hi"})
    assert caller.reply(request_id)["status"] == "cancelled"
    while json.loads(caller.next(f"{caller.reply_topic(request_id)}/event").payload)["type"] != "token":
        pass
    caller.publish(caller.request("cancel"), request_id)
    assert caller.reply(request_id)["status"] == "cancelled"


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        ("cancel", {"id": "ID", "session_id": "kitchen"}),
        ("lookup", {"id": "ID", "request_id": "ID"}),
        ("chat", {"id": "ID", "unheard_of": 1}),
    ],
)
def test_what_cannot_be_read_speaks_on_no_topic_of_a_run(caller, operation, payload):
    request_id = begun(caller, "llm")
    caller.publish(caller.request(operation), json.dumps(payload).replace("ID", request_id))
    caller.publish(caller.request("cancel"), request_id)
    heard = [caller.next() for _ in range(2)]
    outcomes = {message.topic: json.loads(message.payload)["status"] for message in heard}
    assert outcomes.pop(caller.reply_topic(request_id)) == "cancelled"
    assert list(outcomes.values()) == ["error"]
