"""Keys on a real stack: each its own client at the broker, and counted by all workers together."""

import asyncio
import math
import time

import httpx
import pytest

from agent.stack import Part, Stack, StackSettings
from tests.security.conftest import make_key, run_keys

pytestmark = [pytest.mark.anyio, pytest.mark.once]

RATE_PER_S, BURST = 20, 30


@pytest.fixture(scope="module")
async def stack():
    """Two workers that count keys."""
    environment = {
        "EDGEVOICE_BRIDGE_WORKERS": "2",
        "EDGEVOICE_BRIDGE_RATE_PER_S": str(RATE_PER_S),
        "EDGEVOICE_BRIDGE_RATE_BURST": str(BURST),
    }
    async with Stack(StackSettings.scripted(environment=environment)) as running:
        yield running


@pytest.fixture
async def http(stack):
    """A connection for each request, so that either worker gets some."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=20) as client:
        yield client


async def ask(http, headers, text="Hi", **more):
    return await http.post("/v1/ask", json={"text": text}, headers={**headers, **more})


async def test_a_key_lives_from_add_to_revoke(stack, http, bearer):
    key = make_key(stack, "kitchen")
    for _ in range(6):
        assert (await ask(http, bearer(key))).json()["text"] == "You said: Hi"
    assert (await ask(http, {})).status_code == 401
    renewed = run_keys(stack, "rotate", "kitchen")
    assert [(await ask(http, bearer(each))).status_code for each in (key, renewed)] == [401, 200]
    run_keys(stack, "revoke", "kitchen")
    for _ in range(4):
        assert (await ask(http, bearer(renewed))).status_code == 401
    assert "http-kitchen" not in (stack.folder / "broker" / "acl").read_text()
    assert {key, renewed}.isdisjoint(stack.log(Part.BRIDGE).read_text().split())


async def test_keys_do_not_meet(stack, http, bearer):
    one, other = (bearer(make_key(stack, name)) for name in ("one", "other"))
    same = {"Idempotency-Key": "same"}
    answers = await asyncio.gather(*(ask(http, key, text, **same) for key, text in ((one, "A"), (other, "B"))))
    assert [answer.json()["text"] for answer in answers] == ["You said: A", "You said: B"]
    assert (await ask(http, one, "only mine", **{"Idempotency-Key": "mine"})).status_code == 200
    assert (await http.get("/v1/requests/mine", headers=one)).json()["reply"]["text"] == "You said: only mine"
    assert (await http.get("/v1/requests/mine", headers=other)).status_code == 404
    assert (await http.get("/v1/requests/mine")).status_code == 401


async def test_ten_times_the_rate(stack, http, bearer):
    greedy, modest = (bearer(make_key(stack, name)) for name in ("greedy", "modest"))
    began = time.monotonic()
    answers = await asyncio.gather(*(http.get("/v1/requests/none", headers=greedy) for _ in range(10 * BURST)))
    took = time.monotonic() - began
    let_in = [answer for answer in answers if answer.status_code == 404]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(let_in) + len(refused) == len(answers)
    assert BURST <= len(let_in) <= BURST + math.ceil(took * RATE_PER_S)
    assert {answer.json()["code"] for answer in refused} == {"rate_limited"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert (await ask(http, modest)).status_code == 200
    await asyncio.sleep(max(answer.json()["retry_after_ms"] for answer in refused) / 1_000)
    assert (await ask(http, greedy)).status_code == 200
