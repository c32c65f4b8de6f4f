"""What goes wrong inside the agent, and who notices: itself, its engines' keeper, or its service manager."""

import asyncio
import os
import queue
import signal
import uuid
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part
from agent.stack.child import ChildError
from tests.callers import PATIENCE_S, mqtt_caller, spoken
from tests.conftest import ROOT
from tests.faults.test_kills import worker_pid
from tests.faults.trial import trial
from tests.test_watchdog import PERIOD_S, ServiceManager
from tests.wav_files import sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

SABOTEUR = {"PYTHONPATH": f"{Path(__file__).parent / 'saboteur'}:{ROOT}", "EDGEVOICE_PROBE_INTERVAL_S": "1"}
ASKED = {
    "stt": ("transcribe", {"audio": spoken(wav(sine(seconds=1.0)))}),
    "llm": ("chat", {"text": "Hi"}),
    "tts": ("speak", {"text": "Hi"}),
}


async def ended(t, part=Part.AGENT):
    """How it ended, by itself."""
    with pytest.raises(ChildError) as how:
        await asyncio.wait_for(t.stack._children[part].wait(), PATIENCE_S)
    return how.value.what


async def test_an_agent_whose_network_thread_died_goes_on_or_ends_to_begin_anew(tmp_path):
    """W2"""
    async with trial(tmp_path, mix=("mqtt5",), retry_s=1.0, environment=SABOTEUR) as t:
        os.kill(t.stack.pid(Part.AGENT), signal.SIGUSR1)
        asking = asyncio.create_task(t.requesters[0].ask(uuid.uuid4().hex))
        ending = asyncio.create_task(ended(t))
        await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():  # a service manager starts it again
            assert ending.result().endswith("exit status 1")
            await t.stack.restart(Part.AGENT)
        await asyncio.wait_for(asking, PATIENCE_S)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        verdict = await t.verdict()
    assert not verdict.violations


async def test_an_agent_that_hangs_is_ended_by_its_service_manager_and_says_where_it_hung(tmp_path):
    """W3"""
    with closing(ServiceManager()) as manager:
        environment = {**SABOTEUR, **manager.environment, "PYTHONFAULTHANDLER": "1"}
        async with trial(tmp_path, mix=("mqtt5",), job_s=0.5, environment=environment) as t:
            asking = asyncio.create_task(t.requesters[0].ask(uuid.uuid4().hex))
            while not t.executions.exists():
                await asyncio.sleep(0.01)
            os.kill(t.stack.pid(Part.AGENT), signal.SIGUSR2)
            await asyncio.to_thread(silence, manager)
            os.kill(t.stack.pid(Part.AGENT), signal.SIGABRT)  # as WatchdogSignal has it
            assert (await ended(t)).endswith("signal SIGABRT")
            assert "in _hang" in t.stack.log(Part.AGENT).read_text()
            t.ledger.killed(Part.AGENT)
            await t.stack.restart(Part.AGENT)
            await asyncio.wait_for(asking, PATIENCE_S)
            verdict = await t.verdict()
    assert not verdict.violations


def silence(manager):
    """Returns once nothing was said for two periods."""
    with suppress(queue.Empty):
        while manager.next(2 * PERIOD_S):
            pass


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
async def test_an_engine_that_hangs_costs_its_run_a_typed_error_and_is_started_again(tmp_path, stage):
    """W4"""
    engine = EngineSettings(name="scripted", hang_timeout_s=0.5)
    async with trial(tmp_path, mix=(), stt=engine, llm=engine, tts=engine) as t:
        os.kill(worker_pid(t.stack.pid(Part.AGENT), stage), signal.SIGSTOP)
        with mqtt_caller(t.stack) as caller:
            operation, fields = ASKED[stage]
            replies = [await asyncio.to_thread(caller.ask, operation, **fields) for _ in range(2)]
    assert replies[-1]["status"] == "ok"
    assert replies[0].get("error", {}).get("code") in {None, f"{stage}_failed"}


async def test_an_agent_that_starts_before_its_broker_waits_for_it(tmp_path):
    """W5"""
    async with trial(tmp_path, mix=("mqtt5",)) as t:
        await t.stack.stop(Part.AGENT)
        await t.stack.stop(Part.BROKER)
        starting = asyncio.create_task(t.stack.start(Part.AGENT))
        while "cannot be reached" not in (said := t.stack.log(Part.AGENT).read_text().rpartition("stopping")[2]):
            await asyncio.sleep(0.05)
        assert "online as" not in said
        await t.stack.start(Part.BROKER)
        await asyncio.wait_for(starting, PATIENCE_S)
        assert (await t.requesters[0].ask(uuid.uuid4().hex))["status"] == "ok"


async def test_an_agent_told_to_end_answers_what_it_began_and_leaves_the_rest_to_the_next(tmp_path):
    """R8"""
    async with trial(tmp_path, mix=("mqtt5", "mqtt311"), job_s=0.7, retry_s=None) as t:
        asking = [asyncio.create_task(who.ask(uuid.uuid4().hex)) for who in t.requesters for _ in range(5)]
        while not t.executions.exists():
            await asyncio.sleep(0.01)
        os.kill(t.stack.pid(Part.AGENT), signal.SIGTERM)
        late = [asyncio.create_task(who.ask(uuid.uuid4().hex)) for who in t.requesters]
        assert (await ended(t)).endswith("exit status 0")
        await t.stack.restart(Part.AGENT)
        await asyncio.wait_for(asyncio.gather(*asking, *late), PATIENCE_S)
        verdict = await t.verdict()
    assert not verdict.violations
    assert not verdict.repeated
