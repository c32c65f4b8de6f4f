"""The bridge's metrics, and who may read them."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.settings import BridgeSettings
from tests.bridge.conftest import calling

pytestmark = pytest.mark.anyio


async def scrape(http):
    """Every sample, by its name and its labels in the order of their names."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = (each for family in text_string_to_metric_families(answer.text) for each in family.samples)
    return {(each.name, *(value for _, value in sorted(each.labels.items()))): each.value for each in samples}


async def test_requests_are_counted_by_route_and_status(http):
    for _ in range(2):
        assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 200
    await http.post("/v1/ask", json={"text": ""})
    await http.get("/v1/ask")
    for name in ("a", "b"):
        await http.get(f"/v1/requests/{name}")
    await http.get("/nothing/here")
    await http.get("/")
    told = await scrape(http)
    counted = {key[1:]: value for key, value in told.items() if key[0] == "edgevoice_bridge_requests_total"}
    assert counted == {
        ("/v1/ask", "200"): 2,
        ("/v1/ask", "400"): 1,
        ("/v1/ask", "405"): 1,
        ("/v1/requests/{request_id}", "404"): 2,
        ("other", "404"): 2,
    }
    assert told["edgevoice_bridge_request_seconds_count", "/v1/ask"] == 4
    assert told["edgevoice_bridge_request_seconds_bucket", "+Inf", "/v1/ask"] == 4


async def test_how_the_bridge_is(http, agent):
    agent.answers.clear()
    asking = asyncio.create_task(http.post("/v1/ask", json={"text": "Hi"}))
    await agent.was_asked.acquire()
    told = await scrape(http)
    agent.answers.set()
    await asking
    names = ("waiting", "workers", "connected_workers", "agent_online")
    assert [told[f"edgevoice_bridge_{name}",] for name in names] == [1, 1, 1, 1]
    agent.connected = False
    assert (await scrape(http))["edgevoice_bridge_connected_workers",] == 0


async def test_whoever_hangs_up_is_counted(port, agent):
    agent.answers.clear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        asking = asyncio.create_task(http.post("/v1/ask", json={"text": "Hi"}))
        await agent.was_asked.acquire()
        asking.cancel()
        await agent.cancelled.get()
        told = await scrape(http)
    counted = {key[1:]: value for key, value in told.items() if key[0] == "edgevoice_bridge_requests_total"}
    assert counted == {("/v1/ask", "499"): 1}


async def test_no_key_is_needed_here_and_who_has_none_is_counted(settings, agent):
    settings.keys_path.write_text("")
    async with calling(settings, agent) as http:
        assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 401
        assert (await scrape(http))["edgevoice_bridge_requests_total", "/v1/ask", "401"] == 1


@pytest.mark.parametrize(
    ("host", "address", "status"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 200),
        ("localhost", "::1", 200),
        ("127.0.0.1", "192.0.2.7", 403),
        ("bridge.example.org", "127.0.0.1", 403),
    ],
)
async def test_only_callers_on_this_machine(settings, agent, host, address, status):
    async with calling(settings, agent, address=address) as http:
        answer = await http.get("/metrics", headers={"Host": host})
    assert answer.status_code == status


async def test_a_web_page_may_not(http):
    answer = await http.get("/metrics", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "foreign_origin")


@pytest.mark.parametrize(("metrics", "status"), [("all", 200), ("off", 404)])
async def test_what_the_settings_say(agent, tmp_path, metrics, status):
    settings = BridgeSettings(metrics=metrics, keys_file=tmp_path / "keys")
    async with calling(settings, agent, address="192.0.2.7") as http:
        assert (await http.get("/metrics")).status_code == status
