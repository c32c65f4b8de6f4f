"""What the broker does to the agent: requests it keeps for ever, packets it does not take."""

import asyncio
import json
import uuid

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import mqtt_caller

pytestmark = [pytest.mark.anyio, pytest.mark.once]

PACKET_BYTES = 60_000


@pytest.mark.parametrize(
    ("protocol", "restarts", "times"),
    [
        ("5", 5, 0),
        ("3.1.1", 2, 1),  # where it reaches the agent's session as any other message would, that it is retained is lost
    ],
)
async def test_a_retained_request_is_not_begun_by_a_start_of_the_agent(tmp_path, protocol, restarts, times):
    begun = tmp_path / "begun.jsonl"
    settings = StackSettings.scripted(
        llm=EngineSettings(name="scripted", options={"log": begun}),
        parts=(Part.BROKER, Part.AGENT),
        environment={"EDGEVOICE_MQTT__PROTOCOL": protocol},
    )
    async with Stack(settings) as stack:
        await stack.stop(Part.AGENT)
        with mqtt_caller(stack) as caller:
            caller.publish(caller.request(), {"id": uuid.uuid4().hex, "text": "retained"}, retain=True)
            for _ in range(restarts):
                await stack.start(Part.AGENT)
                assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"
                await stack.kill(Part.AGENT)
    questions = [json.loads(line)["question"] for line in begun.read_text(encoding="utf-8").splitlines()]
    assert questions.count("retained") == times
    assert questions.count("Hi") == restarts


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_reply_that_the_broker_does_not_take_costs_its_speech_and_no_connection(protocol):
    settings = StackSettings.scripted(
        parts=(Part.BROKER, Part.AGENT),
        broker={"max_packet_size": str(PACKET_BYTES)},
        environment={
            "EDGEVOICE_MQTT__PROTOCOL": protocol,
            "EDGEVOICE_MQTT__MAX_PACKET_BYTES": str(PACKET_BYTES),  # which 3.1.1 has no way to say
        },
    )
    async with Stack(settings) as stack:
        with mqtt_caller(stack) as caller:
            words = "ha " * 300
            reply = await asyncio.to_thread(caller.ask, text=words, reply_mode="both", params={"max_tokens": 1_000})
            assert (reply["status"], reply["error"]["code"]) == ("error", "reply_too_large")
            assert reply["text"] == f"You said: {words}".strip()
            assert "audio" not in reply
            assert (await asyncio.to_thread(caller.ask, text="Hi"))["text"] == "You said: Hi"
        assert "lost the broker" not in stack.log(Part.AGENT).read_text(encoding="utf-8")
