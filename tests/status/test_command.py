"""`edgevoice status`: what it says, and its exit status, whatever is there."""

import asyncio
import json

import pytest

from agent.__main__ import main
from agent.contract.limits import Limits
from agent.contract.presence import EngineInfo, EngineState, Info, State
from agent.contract.terms import Phase, Presence, Stage
from agent.contract.topics import Topics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Publication
from agent.stack.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.once]

TOPICS = Topics()
INFO = Info(
    agent="orin",
    version="9.9",
    operations=[],
    reply_modes=[],
    audio_formats=[],
    limits=Limits(),
    engines={Stage.LLM: EngineInfo(name="mlc", model="big", device="cuda:0")},
)
STATE = State(
    phase=Phase.DEGRADED,
    accepting=True,
    queued=3,
    running=2,
    max_queued=256,
    faults=("tts",),
    engines={Stage.LLM: EngineState(ready=True, busy=1, restarts=4)},
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def status(broker, capsys):
    """Runs the command as a device, and gives its exit status and what it says."""

    async def run(*arguments):
        device = broker.mqtt("demo")
        where = ["--port", str(device.port), "--user", "demo", "--password-file", str(device.password_file)]
        code = await asyncio.to_thread(main, ["status", *where, *arguments])
        return code, capsys.readouterr().out

    return run


async def announce(broker, presence):
    async with MqttClient(broker.mqtt("agent"), client_id="agent", on_message=lambda _: None) as mqtt:
        said = {TOPICS.info: INFO.encode(), TOPICS.state: STATE.encode(), TOPICS.status: presence.value.encode()}
        for topic, payload in said.items():
            await mqtt.publish(Publication(topic, payload, retain=True))


async def test_an_agent_that_is_there(broker, status):
    await announce(broker, Presence.ONLINE)
    code, said = await status()
    assert code == 0
    assert "orin is online: degraded, 2 running, 3 of 256 queued" in said
    assert "mlc/big" in said
    assert "faults: tts; `edgevoice doctor`" in said


async def test_for_programs(broker, status):
    await announce(broker, Presence.ONLINE)
    code, said = await status("--json")
    told = json.loads(said)
    assert (code, told["online"], told["state"]["phase"], told["info"]["version"]) == (0, True, "degraded", "9.9")
    assert broker.pid in [process["pid"] for process in told["processes"] if process["what"] == "broker"]


async def test_an_agent_that_is_gone(broker, status):
    await announce(broker, Presence.OFFLINE)
    code, said = await status()
    assert code == 3
    assert "orin is offline" in said
    assert "start it (`edgevoice agent`)" in said


async def test_an_agent_that_never_was(status):
    code, said = await status("--agent", "nano")
    assert code == 3
    assert "never heard of an agent 'nano'" in said


def test_a_password_that_is_not_there(capsys):
    assert main(["status", "--password-file", "/nowhere/password"]) == 1
    assert "/nowhere/password" in capsys.readouterr().err


def test_a_broker_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr("agent.status.announced._CONNECT_S", 0.1)
    assert main(["status", "--port", str(free_port())]) == 3
    assert "start the broker" in capsys.readouterr().out
