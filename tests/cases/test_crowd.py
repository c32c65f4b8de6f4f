"""Many at once: stages of different runs overlap, nobody waits behind somebody slow, everybody has a turn."""

import json
import queue
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import paho.mqtt.client as paho
import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Stack, StackSettings
from tests.callers import PATIENCE_S, http_caller, mqtt_caller, spoken
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

CLIP = spoken(wav(sine(seconds=1.0)))
DEVICES = tuple(f"device{number}" for number in range(20))
EACH = 5
MODELS = {
    "quick": {"name": "scripted", "load": "start"},
    "brisk": {"name": "scripted", "options": {"delay_s": 0.05, "slots": 4}, "load": "start"},
}


@pytest.fixture(scope="module")
async def crowd(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """Engines that do one thing at a time and take a moment for it; models beside them that are faster."""
    settings = StackSettings(
        stt=EngineSettings(name="scripted", options={"delay_s": 0.1}),
        llm=EngineSettings(name="scripted", options={"delay_s": 0.1, "slots": 1}),
        tts=EngineSettings(name="scripted", options={"delay_s": 0.6}),
        users=(*DEVICES, "busy"),
        environment={"EDGEVOICE_MODELS": json.dumps(MODELS), "EDGEVOICE_SESSIONS__UNNAMED_IDLE_S": "0"},
    )
    async with Stack(settings) as running:
        yield running


def test_one_is_spoken_while_the_next_is_thought_about_and_a_third_is_heard(crowd):
    with mqtt_caller(crowd) as caller:
        asked = [uuid.uuid4().hex for _ in range(3)]
        for request_id in asked:
            caller.publish(caller.request(), {"id": request_id, "audio": CLIP, "reply_mode": "audio", "stream": {}})
        told, left = [], {caller.reply_topic(request_id) for request_id in asked}
        while left:
            message = caller.next()
            left.discard(message.topic)
            if message.topic.endswith("/event"):
                event = json.loads(message.payload)
                told.append((event["id"], event["type"]))
    first, second, third = (request_id for request_id, event in told if event == "stt_end")
    assert told.index((first, "llm_start")) < told.index((second, "stt_end")) < told.index((first, "tts_end"))
    assert told.index((second, "llm_start")) < told.index((third, "stt_end")) < told.index((second, "tts_end"))


def test_who_asks_little_does_not_wait_behind_who_asks_much(crowd):
    with mqtt_caller(crowd, user="busy") as busy, mqtt_caller(crowd) as quick:
        asked = [uuid.uuid4().hex for _ in range(10)]
        for request_id in asked:
            busy.publish(busy.request(), {"id": request_id, "audio": CLIP, "reply_mode": "audio"})
        for _ in range(5):
            assert quick.ask(text="Hi", model="quick")["status"] == "ok"
        answered = set()
        while not busy.arrived.empty():
            answered.add(busy.arrived.get().topic)
        assert len(answered) < len(asked)


def test_a_hundred_requests_of_twenty_devices_have_their_turns_in_rounds(crowd):
    answers: queue.Queue[paho.MQTTMessage] = queue.Queue()
    with ExitStack() as stack:
        callers = [stack.enter_context(mqtt_caller(crowd, user=device)) for device in DEVICES]
        for caller in callers:
            caller.arrived = answers
        for _ in range(EACH):
            for caller in callers:
                caller.publish(caller.request(), {"text": "Hi", "model": "brisk"})
        outcomes = [answers.get(timeout=PATIENCE_S) for _ in range(EACH * len(DEVICES))]
    assert all(json.loads(outcome.payload)["status"] == "ok" for outcome in outcomes)
    of_device = [outcome.topic.split("/")[-2] for outcome in outcomes]
    for rounds in range(1, EACH + 1):
        so_far = Counter(of_device[: rounds * len(DEVICES)])
        assert max(so_far.values()) <= rounds + 1
        assert min(so_far[device] for device in DEVICES) >= rounds - 1


def test_a_hundred_callers_at_once_all_have_their_answer(crowd):
    with http_caller(crowd) as caller, ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda number: caller.ask(text=f"Call {number}", model="brisk"), range(100)))
    assert [reply["text"] for reply in replies] == [f"You said: Call {number}" for number in range(100)]
