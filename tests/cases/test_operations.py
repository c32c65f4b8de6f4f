"""What operators see of a real stack: metrics, the log of interactions, the status; all of them tell the same."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.stack import Part, Stack, StackSettings
from agent.stack.ports import HOST, free_port
from tests.callers import http_caller, mqtt_caller
from tests.cases.conftest import HEARD, scripted
from tests.wav_files import sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

METRICS_PORT = free_port()
CLIP = wav(sine(seconds=0.5))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Where interactions are kept."""
    return tmp_path_factory.mktemp("kept") / "interactions.jsonl"


@pytest.fixture(scope="module")
async def stack(anyio_backend, log):  # noqa: ARG001 - makes the fixture an anyio one
    """Two workers, and everything that operators may switch on."""
    environment = {
        "EDGEVOICE_BRIDGE_WORKERS": "2",
        "EDGEVOICE_METRICS__PORT": str(METRICS_PORT),
        "EDGEVOICE_INTERACTIONS__PATH": str(log),
        "EDGEVOICE_INTERACTIONS__REDACT": "pii",
    }
    async with Stack(StackSettings.scripted(stt=scripted(text=HEARD), environment=environment)) as running:
        yield running


def scrape(url):
    """Every sample, by its name and its labels in the order of their names."""
    text = httpx.get(f"{url}/metrics").text
    samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {(each.name, *(value for _, value in sorted(each.labels.items()))): each.value for each in samples}


def of_agent():
    return scrape(f"http://{HOST}:{METRICS_PORT}")


def status(stack):
    """What `edgevoice status` says to a device."""
    mqtt = stack.mqtt()
    who = ["--port", str(mqtt.port), "--user", "demo", "--password-file", str(mqtt.password_file)]
    argv = [sys.executable, "-m", "agent", "status", "--json", *who]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def worker(stack):
    """The pid of the first worker, if there is one."""
    processes = status(stack)["processes"]
    return next((each["pid"] for each in processes if each["what"] == "bridge worker 0" and mine(each, stack)), None)


def mine(process, stack):
    """Whether it belongs to this stack, and not to one of another test."""
    return process["parent"] in {stack.pid(Part.AGENT), stack.pid(Part.BRIDGE)}


def healthz(stack):
    return scrape(stack.url)["edgevoice_bridge_requests_total", "/healthz", "200"]


def kept(log):
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


async def test_all_that_was_asked_is_counted_and_kept(stack, log):
    with mqtt_caller(stack) as mqtt, http_caller(stack) as http:
        assert mqtt.ask(id="one", text="Mail ada@example.org", session_id="trip")["status"] == "ok"
        assert mqtt.ask("transcribe", id="two", audio=None, text="Hi")["error"]["code"] == "bad_request"
        assert mqtt.ask_wav(CLIP, "audio")["status"] == "ok"
        assert http.ask(id="three", text="Hi")["status"] == "ok"
        assert http.ask(text="")["status"] == "error"
        assert mqtt.ask(id="four", text="Hi", deadline_ms=60_000, model="nobody")["error"]["code"] == "not_found"
    agent, bridge = of_agent(), scrape(stack.url)
    requests = {key[1:]: value for key, value in agent.items() if key[0] == "edgevoice_agent_requests_total"}
    assert requests == {("", "chat", "ok"): 3, ("not_found", "chat", "error"): 1}
    assert agent["edgevoice_agent_refusals_total", "bad_request"] == 1
    stages = [agent["edgevoice_agent_stage_seconds_count", stage] for stage in ("queue", "stt", "llm", "tts")]
    assert stages == [4, 1, 3, 1]
    assert bridge["edgevoice_bridge_requests_total", "/v1/ask", "200"] == 1
    assert bridge["edgevoice_bridge_requests_total", "/v1/ask", "400"] == 1
    while scrape(stack.url)["edgevoice_bridge_connected_workers",] < 2:  # each says so every second
        await asyncio.sleep(0.02)
    await stack.restart(Part.AGENT)  # which has all written that waits
    one, spoken, three, four = kept(log)
    assert (one["client"], one["session_id"], one["question"]) == ("demo", "trip", "Mail [email]")
    assert one["usage"] == {"prompt_tokens": one["usage"]["prompt_tokens"], "completion_tokens": 4}
    assert (spoken["transcript"], spoken["answer"]) == (HEARD, f"You said: {HEARD}")
    assert (three["client"], three["id"], three["answer"]) == ("bridge", "three", "You said: Hi")
    assert (four["status"], four["error"], four["model"]) == ("error", "not_found", "nobody")


async def test_a_worker_that_is_killed_takes_no_count_along(stack):
    with http_caller(stack) as http:
        http.client.get("/healthz")
    before = healthz(stack)
    victim = worker(stack)
    os.kill(victim, signal.SIGKILL)
    while worker(stack) in {victim, None}:
        await asyncio.sleep(0.02)
    assert healthz(stack) == before


async def test_the_status_names_who_really_runs(stack):
    told = status(stack)
    what = {each["pid"]: each["what"] for each in told["processes"]}
    assert [what[pid] for pid in (stack.broker.pid, stack.pid(Part.AGENT), stack.pid(Part.BRIDGE))] == [
        "broker",
        "agent orin",
        "bridge",
    ]
    assert [each["what"] for each in told["processes"] if mine(each, stack)] == [
        "engine llm scripted",
        "engine stt scripted",
        "engine tts scripted",
        "bridge worker 0",
        "bridge worker 1",
    ]
    assert told["state"]["phase"] == "ready"
    await stack.stop(Part.AGENT)
    with pytest.raises(subprocess.CalledProcessError) as gone:
        status(stack)
    assert gone.value.returncode == 3
    await stack.start(Part.AGENT)


@pytest.mark.usefixtures("stack")
def test_a_port_that_is_taken_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "agent", "agent"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "EDGEVOICE_METRICS__PORT": str(METRICS_PORT),
            "EDGEVOICE_AGENT": "other",
            "EDGEVOICE_ALLOW_EPHEMERAL": "true",
        },
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("edgevoice: EDGEVOICE_METRICS__PORT: ")
