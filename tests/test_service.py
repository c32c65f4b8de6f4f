"""The agent's life as its service manager and its namesakes see it."""

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

import pytest

from agent.contract.topics import Topics
from agent.engines.settings import EngineSettings
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Publication, Subscription
from agent.presence.namesake import NamesakeLives, refuse_second
from agent.presence.probe import Word
from agent.stack import Part, Stack, StackSettings, environment
from agent.stack.child import ChildError
from tests.callers import mqtt_caller
from tests.test_watchdog import ServiceManager

pytestmark = [pytest.mark.anyio, pytest.mark.once]

STATUS = "edgevoice/v1/orin/status"


@pytest.fixture
def manager():
    manager = ServiceManager()
    yield manager
    manager.close()


def stack_of(*parts, **changes):
    return Stack(StackSettings.scripted(parts=parts, **changes))


async def until(manager, state):
    return await asyncio.to_thread(manager.until, state)


async def test_an_agent_that_starts_before_its_broker_waits_for_it_and_is_ready_only_then(manager):
    async with stack_of(Part.BROKER, environment=manager.environment) as stack:
        await stack.stop(Part.BROKER)
        starting = asyncio.create_task(stack.start(Part.AGENT))
        assert (await until(manager, "STATUS=waiting for the broker"))[1].startswith("EXTEND_TIMEOUT_USEC=")
        await stack.start(Part.BROKER)
        await until(manager, "READY=1")
        await starting
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/reply/demo/#"]) as caller:
            assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"


async def test_an_agent_told_to_stop_while_it_loads_or_waits_stops(manager):
    slow = EngineSettings(name="scripted", options={"delay_s": 60})
    async with stack_of(Part.BROKER, environment=manager.environment, llm=slow) as stack:
        starting = asyncio.create_task(stack.start(Part.AGENT))
        await until(manager, "STATUS=loading the engines")
        child = stack._children[Part.AGENT]
        child._process.send_signal(signal.SIGTERM)
        with pytest.raises(ChildError, match="exit status 0"):
            await asyncio.wait_for(starting, 20)


async def test_a_second_signal_ends_the_agent_without_waiting_for_what_runs():
    slow = EngineSettings(name="scripted", options={"answer": "word " * 600, "piece_delay_s": 0.1})
    async with stack_of(
        Part.BROKER, Part.AGENT, llm=slow, environment={"EDGEVOICE_GRACEFUL_SHUTDOWN_S": "600"}
    ) as stack:
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/#"]) as caller:
            caller.publish(caller.request(), {"id": uuid.uuid4().hex, "text": "Hi", "deadline_ms": 600_000})
            await asyncio.to_thread(caller.next, "edgevoice/v1/orin/state")
            process = stack._children[Part.AGENT]._process
            process.send_signal(signal.SIGTERM)
            while b'"draining"' not in (await asyncio.to_thread(caller.next, "edgevoice/v1/orin/state")).payload:
                pass
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
            while (await asyncio.to_thread(caller.next, STATUS)).payload != b"offline":
                pass


async def test_a_second_agent_of_the_name_is_refused_and_takes_over_once_the_first_is_gone(tmp_path):
    async with stack_of(Part.BROKER, Part.AGENT) as stack:
        mqtt = stack.mqtt(Part.AGENT.value)
        second = environment.of_agent(stack.settings, stack.topics, mqtt, journal=tmp_path / "journal.db")
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "agent", env=second, stderr=PIPE)
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert f"an agent 'orin' runs already at the broker 127.0.0.1:{mqtt.port}: stop it, or" in said.decode()
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/reply/demo/#"]) as caller:
            assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"  # nothing was taken from it
        assert "lost the broker" not in stack.log(Part.AGENT).read_text()
        await stack.kill(Part.AGENT)
        await refuse_second(stack.topics, mqtt)


@asynccontextmanager
async def namesake(broker, *, answers):
    """Somebody who said `online`, and answers who asks, or not."""
    topic = "edgevoice/v1/orin/probe"
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    def heard(message):
        word, _, number = message.payload.decode().partition(" ")
        if word == Word.WHO.value:
            asked.put_nowait(message.payload)
            if answers:
                client.publish(Publication(topic, Word.HERE.with_number(number)))

    client = MqttClient(
        broker.mqtt("agent"), client_id="namesake", on_message=heard, subscriptions=[Subscription(topic)]
    )
    async with client:
        await client.wait_connected(10)
        await client.publish(Publication(STATUS, b"online", retain=True))
        yield asked


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_only_who_answers_is_a_namesake(broker, protocol):
    mqtt = broker.mqtt("agent", protocol=protocol)
    async with namesake(broker, answers=True) as asked:
        with pytest.raises(NamesakeLives):
            await refuse_second(Topics(), mqtt)
        assert asked.qsize() == 1
    async with namesake(broker, answers=False) as asked:  # its status outlived it
        await refuse_second(Topics(), mqtt)
        assert asked.qsize() == 1


async def test_an_agent_to_which_nothing_is_delivered_any_more_ends_and_its_last_will_speaks():
    async with stack_of(Part.BROKER, Part.AGENT, environment={"EDGEVOICE_PROBE_INTERVAL_S": "1"}) as stack:
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/#"]) as caller:
            while b"probe_ms" not in (await asyncio.to_thread(caller.next, "edgevoice/v1/orin/state")).payload:
                pass
            acl = stack.folder / "broker" / "acl"
            acl.write_text(acl.read_text().replace("topic readwrite edgevoice/v1/+/probe\n", ""))
            os.kill(stack.pid(Part.BROKER), signal.SIGHUP)
            with pytest.raises(ChildError, match=r"exit status 1(?s:.)*gave back none of the last 4 probes"):
                await asyncio.wait_for(stack._children[Part.AGENT].wait(), 60)
            while (await asyncio.to_thread(caller.next, STATUS)).payload != b"offline":
                pass
