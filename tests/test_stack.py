"""Broker and agent as real processes: started in order, killed, restarted, stopped, and nothing left behind."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.child import Child, ChildError
from agent.client import AgentClient
from agent.contract.messages import Request
from agent.contract.terms import Presence, Status
from agent.settings import EngineSettings
from agent.stack import INTERRUPTED, Part, Stack, StackSettings, until_signalled

SCRIPTED = EngineSettings(name="scripted")
AGENT_ONLY = StackSettings(stt=SCRIPTED, llm=SCRIPTED, tts=SCRIPTED, parts=(Part.BROKER, Part.AGENT))


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


@pytest.mark.anyio
async def test_the_parts_stop_in_reverse_order(monkeypatch):
    stopped = []
    stop = Child.stop

    async def noted(self):
        stopped.append(self.name)
        await stop(self)

    monkeypatch.setattr(Child, "stop", noted)
    async with Stack(replace(AGENT_ONLY, parts=(Part.BROKER,))):
        pass

    assert stopped == ["the bridge", "the agent", "mosquitto"]


@pytest.mark.anyio
async def test_an_agent_that_cannot_start_is_an_error_with_its_last_words():
    broken = replace(AGENT_ONLY, llm=EngineSettings(name="imagined"))

    with pytest.raises(ChildError, match="imagined"):
        async with Stack(broken):
            pass


@pytest.mark.anyio
async def test_a_broker_setting_of_ours_is_not_mixed_in(monkeypatch):
    monkeypatch.setenv("EDGEVOICE_MQTT__PORT", "1")
    monkeypatch.setenv("EDGEVOICE_MQTT__TLS", "true")
    monkeypatch.setenv("EDGEVOICE_STT__NAME", "imagined")

    async with Stack(AGENT_ONLY) as stack:
        assert await status_of(stack) is Status.OK


@pytest.mark.anyio
async def test_it_tells_when_a_part_ends_by_itself():
    async with Stack(replace(AGENT_ONLY, parts=(Part.BROKER,))) as stack:
        waiting = asyncio.ensure_future(stack.wait())
        os.kill(stack.pid(Part.BROKER), signal.SIGKILL)

        with pytest.raises(ChildError, match="SIGKILL"):
            await waiting


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_the_work_clean_up(number):
    cleaned = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
            return 0
        finally:
            cleaned.append(True)

    assert await until_signalled(work()) == INTERRUPTED
    assert cleaned


STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.mark.anyio
async def test_who_does_not_hear_sigterm_is_killed(tmp_path):
    log = tmp_path / "log"
    child = Child("stubborn", [sys.executable, "-c", STUBBORN], log=log, grace_s=0.1)
    await child.start()
    await child.until(said(log, "deaf"), timeout_s=20)

    await child.stop()

    assert not child.running


@pytest.mark.anyio
async def test_who_is_never_ready_is_an_error(tmp_path):
    child = Child("dreamer", [sys.executable, "-c", STUBBORN], log=tmp_path / "log")
    await child.start()
    try:
        with pytest.raises(ChildError, match="dreamer was not ready"):
            await child.until(asyncio.Event().wait(), timeout_s=0.05)
    finally:
        await child.kill()


async def said(log: Path, word: str) -> None:
    while word not in await asyncio.to_thread(log.read_text):
        await asyncio.sleep(0.02)
