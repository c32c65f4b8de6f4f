"""API keys: who is let in, what the others are told, and that the running bridge follows the file."""

import json
import logging
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from agent.keys import BadKeys, is_key_name, new_key, parse_keys, render_keys
from bridge.access.access import Access, Caller, Gate, check_callers
from bridge.settings import BridgeSettings
from tests.bridge.conftest import calling, serving

pytestmark = pytest.mark.anyio

OPEN = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/nothing/here")


def write(path, *keys):
    """Puts a file of these keys in the place of the one there is, as `edgevoice keys` does."""
    new = path.with_suffix(".new")
    new.write_text(render_keys(keys))
    new.replace(path)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def key(settings):
    """The key `kitchen`, the only one there is."""
    shown, stored = new_key("kitchen")
    write(settings.keys_path, stored)
    return shown


async def test_without_a_file_nobody_needs_a_key(http):
    assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 200


async def test_a_key_is_let_in(key, http):
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer(key))
    assert (answer.status_code, answer.json()["text"]) == (200, "Hi!")


async def test_the_scheme_may_be_written_in_any_case(key, http):
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers={"Authorization": f"bearer  {key}"})
    assert answer.status_code == 200


async def test_all_others_are_told_the_same(key, http):
    wrong = (f"{key}x", key[:-1], key.swapcase(), "x", "", "x" * 8_000, "ev_kitchen_", "ü")
    sent = [[(b"Authorization", f"Bearer {each}".encode("latin-1"))] for each in wrong]
    answers = [await http.post("/v1/ask", json={"text": "Hi"}, headers=headers) for headers in sent]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    [body] = {answer.text for answer in answers}
    assert json.loads(body)["code"] == "unauthorized"
    assert set(json.loads(body)) == {"code", "detail", "retriable", "status", "title", "type"}


@pytest.mark.parametrize(
    "headers",
    [
        lambda key: [("Authorization", key)],
        lambda key: [("Authorization", f"Basic {key}")],
        lambda _: [("Authorization", "Bearer")],
        lambda _: [],
        lambda key: [*bearer(key).items(), *bearer(key).items()],
        lambda key: [("X-Api-Key", key)],
    ],
)
async def test_a_key_counts_only_where_it_belongs(key, http, headers):
    assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=headers(key))).status_code == 401
    assert (await http.post(f"/v1/ask?key={key}&access_token={key}", json={"text": "Hi"})).status_code == 401


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.usefixtures("key")
async def test_what_needs_no_key(http, path):
    assert (await http.get(path)).status_code in {200, 404}


@pytest.mark.usefixtures("key")
async def test_every_route_of_the_api_needs_one(http):
    paths = (await http.get("/openapi.json")).json()["paths"]
    routes = [
        (method, path) for path, methods in paths.items() if path.startswith(("/v1/", "/chat/")) for method in methods
    ]
    assert len(routes) >= 6
    for method, path in routes:
        answer = await http.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code in {401, 429}, path
        assert paths[path][method]["security"]


@pytest.mark.usefixtures("key")
async def test_a_path_that_is_written_otherwise_needs_one_too(http):
    for path in ("/%761/ask", "/v1/%61sk", "/v1/../v1/ask", "/v1//ask", "//v1/ask", "/V1/ask", "/v1/ask/"):
        assert (await http.post(path, json={"text": "Hi"})).status_code in {401, 404}, path


async def test_who_is_refused_is_not_read(settings, agent, key):
    async with serving(settings, agent) as (_, port), httpx.AsyncClient(timeout=5) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/v1/ask", content=b"x" * 5_000_000)
        assert answer.status_code == 401  # and not 413, which is told of a body that was looked at
        answer = await client.post(f"http://127.0.0.1:{port}/v1/ask", content=b"x" * 5_000_000, headers=bearer(key))
        assert answer.status_code == 413
    assert not agent.asked


async def test_the_running_bridge_follows_the_file(settings, http, key, caplog):
    caplog.set_level(logging.INFO)
    second, stored = new_key("cellar")

    async def statuses():
        return [(await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer(each))).status_code
                for each in (key, second)]  # fmt: skip

    assert await statuses() == [200, 401]
    write(settings.keys_path, *parse_keys(settings.keys_path.read_text()), stored)
    assert await statuses() == [200, 200]
    write(settings.keys_path, stored)
    assert await statuses() == [401, 200]
    settings.keys_path.write_text("nonsense")
    assert await statuses() == [401, 200]
    assert f"{settings.keys_path}: line 1 is no key" in caplog.text
    write(settings.keys_path)
    assert await statuses() == [401, 401]
    settings.keys_path.unlink()
    assert await statuses() == [401, 401]
    assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 401
    assert key not in caplog.text
    assert second not in caplog.text


async def test_the_first_key_closes_a_bridge_that_was_open(settings, http):
    assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 200
    write(settings.keys_path, new_key("kitchen")[1])
    assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 401


async def test_a_file_that_cannot_be_read_opens_nothing(settings, agent):
    settings.keys_path.mkdir()
    async with calling(settings, agent) as http:
        assert (await http.post("/v1/ask", json={"text": "Hi"})).status_code == 401


async def test_with_a_key_any_host_will_do(settings, agent, key):
    async with calling(settings, agent, base_url="http://edge.example") as http:
        assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer(key))).status_code == 200
        page = {**bearer(key), "Origin": "https://page.example"}
        answer = await http.post("/v1/ask", json={"text": "Hi"}, headers=page)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_wrong_keys_are_limited_and_right_ones_are_not(key, http):
    answers = [await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer("wrong")) for _ in range(15)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 5
    assert answers[-1].headers["Retry-After"] == "1"
    assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer(key))).status_code == 200


async def test_who_asks_too_often_is_told_when_to_come_again(settings, agent, key):
    slow = settings.model_copy(update={"rate_per_s": 0.5, "rate_burst": 3})
    other, stored = new_key("cellar")
    write(settings.keys_path, *parse_keys(settings.keys_path.read_text()), stored)
    async with serving(slow, agent) as (_, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.post("/v1/ask", json={"text": "Hi"}, headers=bearer(key)) for _ in range(4)]
        large = await client.post("/v1/ask", content=b"x" * 3_000_000, headers=bearer(key))
        assert (await client.post("/v1/ask", json={"text": "Hi"}, headers=bearer(other))).status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    problem = answers[-1].json()
    assert (problem["code"], problem["retriable"]) == ("rate_limited", True)
    assert 1_000 < problem["retry_after_ms"] <= 2_000
    assert answers[-1].headers["Retry-After"] == "2"
    assert large.status_code == 429


async def test_no_rate_at_all(settings, agent, key):
    async with calling(settings.model_copy(update={"rate_per_s": 0.0, "rate_burst": 1}), agent) as http:
        for _ in range(5):
            assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=bearer(key))).status_code == 200


async def test_only_an_operators_key_makes_operators_calls(settings, agent, key):
    shown, stored = new_key("boss", operator=True)
    write(settings.keys_path, *parse_keys(settings.keys_path.read_text()), stored)
    async with calling(settings.model_copy(update={"admin": True}), agent) as http:
        refused = await http.get("/v1/admin/models", headers=bearer(key))
        assert (refused.status_code, refused.json()["reason"]) == (403, "not_operator")
        assert (await http.get("/v1/admin/models", headers=bearer(shown))).status_code == 200
    async with calling(settings, agent) as http:
        assert (await http.get("/v1/admin/models", headers=bearer(shown))).json()["reason"] == "admin_off"


async def test_a_key_is_a_client_of_its_own(settings, key):
    async def inner(scope, *_):
        seen.append(scope["state"]["caller"])

    seen: list[Caller] = []
    scope: Any = {"type": "http", "path": "/prefix/v1/ask", "root_path": "/prefix", "headers": []}
    scope["headers"].append((b"authorization", f"Bearer {key}".encode()))
    nothing: Any = None
    await Gate(inner)({**scope, "state": {"access": Access(settings)}}, nothing, nothing)
    assert [(caller.client, caller.operator) for caller in seen] == [("http-kitchen", False)]


def test_what_is_kept_of_a_key():
    key, stored = new_key("kitchen", operator=True)
    text = render_keys([stored])
    assert key.startswith("ev_kitchen_")
    assert len(key.removeprefix("ev_kitchen_")) == 43  # 256 bits
    assert key not in text
    assert key.removeprefix("ev_kitchen_") not in text
    assert parse_keys(text) == (stored,)
    assert new_key("kitchen")[0] != key


@pytest.mark.parametrize("name", ["", "a/b", "#", "+", "a b", "x" * 60, "é", "a\n"])
def test_names_that_are_no_level_of_a_topic(name):
    assert not is_key_name(name)


@pytest.mark.parametrize(
    "line",
    [
        "kitchen",
        "kitchen 00 caller 2026-01-01",
        f"kitchen {'0' * 64} caller",
        f"kitchen {'0' * 64} king 2026-01-01",
        f"kitchen {'0' * 64} caller soon",
        f"kit/chen {'0' * 64} caller 2026-01-01",
        f"kitchen {'é' * 64} caller 2026-01-01",
    ],
)
def test_a_line_that_is_no_key(line):
    with pytest.raises(BadKeys, match="line 2"):
        parse_keys(f"# keys\n{line}\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_listening_on_this_machine_needs_no_keys(settings, host):
    check_callers(settings.model_copy(update={"host": host}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "edge.example"])
def test_listening_for_others_needs_keys_or_has_to_be_meant(settings, host):
    strangers = settings.model_copy(update={"host": host})
    with pytest.raises(ValueError, match="edgevoice keys add"):
        check_callers(strangers)
    check_callers(strangers.model_copy(update={"allow_unauthenticated": True}))
    write(settings.keys_path, new_key("kitchen")[1])
    check_callers(strangers)


def test_keys_that_cannot_be_read_are_no_start(settings):
    settings.keys_path.write_text("nonsense")
    with pytest.raises(ValueError, match=f"{settings.keys_path}: line 1"):
        check_callers(settings)


def test_where_the_keys_are(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(BridgeSettings().keys_path) == "/data/edgevoice/bridge-keys"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(BridgeSettings().keys_path) == "/etc/edgevoice/bridge-keys"


FORKED = """
import os, sys
from pathlib import Path
from bridge.access.keys import Keys

path, keys = Path(sys.argv[1]), Keys(Path(sys.argv[1]))
for lost in (False, True):
    if lost:
        path.unlink()
    else:
        path.write_text("")
    if not (worker := os.fork()):
        os._exit(0 if keys.required else 1)
    assert os.waitpid(worker, 0)[1] == 0, "a worker lets everybody in"
"""


def test_a_worker_that_begins_after_the_file_is_lost_knows_that_there_was_one(tmp_path):
    subprocess.run([sys.executable, "-c", FORKED, tmp_path / "keys"], check=True, timeout=30)
