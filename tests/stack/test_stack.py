"""Broker and agent as real processes: started in order, killed, restarted, stopped, and nothing left behind."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace

import pytest

from agent.client import AgentClient
from agent.contract.messages import Request
from agent.contract.terms import Presence, Status
from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from agent.stack.child import ChildError
from agent.stack.keeping import MAX_DEATHS

AGENT_ONLY = StackSettings.scripted(parts=(Part.BROKER, Part.AGENT))


async def status_of(stack: Stack, text: str = "Hi") -> Status:
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="demo") as client:
        await client.online(30)
        assert client.presence is Presence.ONLINE
        return (await client.ask(Request(text=text))).status


@pytest.mark.anyio
async def test_it_answers_once_entered_and_leaves_nothing():
    async with Stack(AGENT_ONLY) as stack:
        assert await status_of(stack) is Status.OK
        assert stack.broker.port != 1883
        assert stack.log(Part.AGENT).stat().st_mode & 0o077 == 0
        pids = [stack.pid(Part.BROKER), stack.pid(Part.AGENT)]

    assert not stack.folder.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.anyio
async def test_each_part_may_be_killed_and_started_again():
    async with Stack(AGENT_ONLY) as stack:
        first = stack.pid(Part.AGENT)
        await stack.kill(Part.AGENT)
        with pytest.raises(ChildError, match="not running"):
            stack.pid(Part.AGENT)
        await stack.start(Part.AGENT)
        await stack.kill(Part.BROKER)
        await stack.start(Part.BROKER)

        assert stack.pid(Part.AGENT) != first
        assert await status_of(stack) is Status.OK


@pytest.mark.once
@pytest.mark.anyio
async def test_the_parts_stop_in_reverse_order():
    ended = []
    loop = asyncio.get_running_loop()

    def note(part: Part, process: int) -> None:
        ended.append(part)
        loop.remove_reader(process)
        os.close(process)

    async with Stack(StackSettings.scripted()) as stack:
        for part in Part:
            process = os.pidfd_open(stack.pid(part))  # readable once it has ended
            loop.add_reader(process, note, part, process)

    assert ended == [Part.BRIDGE, Part.AGENT, Part.BROKER]


@pytest.mark.once
@pytest.mark.anyio
async def test_an_agent_that_cannot_start_is_an_error_with_its_last_words():
    broken = replace(AGENT_ONLY, llm=EngineSettings(name="imagined"))

    with pytest.raises(ChildError, match="imagined"):
        async with Stack(broken):
            pass


@pytest.mark.once
@pytest.mark.anyio
async def test_a_broker_setting_of_ours_is_not_mixed_in(monkeypatch):
    monkeypatch.setenv("EDGEVOICE_MQTT__PORT", "1")
    monkeypatch.setenv("EDGEVOICE_MQTT__TLS", "true")
    monkeypatch.setenv("EDGEVOICE_STT__NAME", "imagined")

    async with Stack(AGENT_ONLY) as stack:
        assert await status_of(stack) is Status.OK


@pytest.mark.once
@pytest.mark.anyio
async def test_what_is_killed_is_started_again_until_it_dies_too_often():
    told: asyncio.Queue[str] = asyncio.Queue()
    async with Stack(AGENT_ONLY) as stack:
        keeping = asyncio.ensure_future(stack.keep(told.put_nowait))
        for part in (Part.AGENT, Part.BROKER):
            os.kill(stack.pid(part), signal.SIGKILL)
        heard = {await told.get(), await told.get()}
        assert heard == {
            f"{name} ended with signal SIGKILL; it is started again" for name in ("the agent", "mosquitto")
        }
        assert await status_of(stack) is Status.OK

        while not keeping.done():
            with suppress(ChildError):  # not running yet
                os.kill(stack.pid(Part.BROKER), signal.SIGKILL)
            await asyncio.sleep(0.05)
        with pytest.raises(ChildError, match=f"SIGKILL, {MAX_DEATHS} times within a minute"):
            await keeping
