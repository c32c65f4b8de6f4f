"""The agent's metrics as Prometheus scrapes them."""

import asyncio
import socket
import threading

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.contract.errors import ErrorCode
from agent.contract.messages import Request
from agent.contract.presence import EngineState, State
from agent.contract.reply import ErrorBody, Reply, Timings, Usage
from agent.contract.terms import Operation, Phase, Stage, Status
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.metrics import gauges
from agent.metrics.gauges import Vitals
from agent.metrics.metrics import Metrics, MetricsPortError
from agent.metrics.settings import MetricsSettings
from agent.stack.ports import free_port

pytestmark = pytest.mark.anyio

ENGINES = {
    Stage.STT: EngineState(ready=True, busy=1, memory_bytes=5_000),
    Stage.LLM: EngineState(ready=False, restarts=2),
}
STATE = State(
    phase=Phase.DEGRADED,
    accepting=True,
    queued=3,
    running=2,
    max_queued=256,
    queued_bytes=700,
    faults=("llm", "tts"),
    probe_ms=1.5,
    engines=ENGINES,
)
ADMITTED = Admitted(RunKey("demo", "r1"), Operation.CHAT, Request(text="Hi"), None, ReplyTo("t"), 1e9)


def vitals():
    return Vitals(STATE, connected=True, journal_waited_s=0.25)


def settings():
    return MetricsSettings(port=free_port())


async def scrape(asked):
    """Every sample, by its name and its labels in the order of their names."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{asked.port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    samples = (each for family in families for each in family.samples)
    return {(each.name, *(value for _, value in sorted(each.labels.items()))): each.value for each in samples}


async def test_what_came_of_runs_is_counted():
    answered = Reply(
        id="r1",
        status=Status.OK,
        timings_ms=Timings(queue=0.4, llm_first_token=40, llm=300, tts_first_audio=700, total=1_200),
        usage=Usage(prompt_tokens=12, completion_tokens=5),
        agent="orin",
    )
    failed = Reply(id="r2", status=Status.ERROR, error=ErrorBody(code=ErrorCode.LLM_FAILED, message="no"), agent="orin")
    async with Metrics(asked := settings(), vitals) as metrics:
        metrics.ended(ADMITTED, answered)
        metrics.ended(ADMITTED, answered)
        metrics.ended(ADMITTED, failed)
        metrics.refused(ErrorCode.BUSY)
        told = await scrape(asked)
    agent = "edgevoice_agent_"
    assert told[f"{agent}requests_total", "", "chat", "ok"] == 2
    assert told[f"{agent}requests_total", "llm_failed", "chat", "error"] == 1
    assert told[f"{agent}refusals_total", "busy"] == 1
    assert (told[f"{agent}tokens_total", "prompt"], told[f"{agent}tokens_total", "completion"]) == (24, 10)
    assert told[f"{agent}stage_seconds_count", "queue"] == told[f"{agent}stage_seconds_bucket", "0.001", "queue"] == 2
    assert told[f"{agent}stage_seconds_sum", "llm"] == pytest.approx(0.6)
    assert told[f"{agent}request_seconds_sum", "chat"] == pytest.approx(2.4)
    assert (told[f"{agent}first_token_seconds_count",], told[f"{agent}first_audio_seconds_count",]) == (2, 2)
    assert not [name for name, *_ in told if name.endswith("_created")]


async def test_how_the_agent_is_when_it_is_asked():
    async with Metrics(asked := settings(), vitals):
        told = await scrape(asked)
    agent = "edgevoice_agent_"
    assert (told[f"{agent}phase", "degraded"], told[f"{agent}phase", "ready"]) == (1, 0)
    expected = {"accepting": 1, "connected": 1, "running": 2, "queued": 3, "queue_limit": 256, "queued_bytes": 700}
    assert {name: told[agent + name,] for name in expected} == expected
    assert (told[f"{agent}probe_seconds",], told[f"{agent}journal_waited_seconds",]) == (0.0015, 0.25)
    assert (told[f"{agent}fault", "llm"], told[f"{agent}fault", "journal"]) == (1, 0)
    found = {key[1:] for key, value in told.items() if key[0] == f"{agent}engine_state" and value}
    assert found == {("stt", "up"), ("llm", "loading"), ("tts", "failed")}
    assert told[f"{agent}engine_restarts_total", "llm"] == 2
    assert told[f"{agent}engine_resident_memory_bytes", "stt"] == 5_000
    assert told["process_resident_memory_bytes",] > 1_000_000


async def test_an_event_loop_that_hangs_does_not_hide_what_was_counted(monkeypatch, caplog):
    monkeypatch.setattr(gauges, "_PATIENCE_S", 0.05)
    async with Metrics(asked := settings(), vitals) as metrics:
        metrics.refused(ErrorCode.BUSY)
        told = {}
        scraping = threading.Thread(target=lambda: told.update(asyncio.run(scrape(asked))))
        scraping.start()
        scraping.join(20)  # which is what hangs it
        assert told["edgevoice_agent_refusals_total", "busy"] == 1
        assert ("edgevoice_agent_running",) not in told
    assert "without gauges" in caplog.text


async def test_a_port_that_is_taken_names_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = MetricsSettings(port=taken.getsockname()[1])
        with pytest.raises(MetricsPortError, match=r"^EDGEVOICE_METRICS__PORT: .*in use"):
            await Metrics(asked, vitals).__aenter__()
