"""The application as a whole: health, documentation, settings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.contract.docs import field_docs
from agent.contract.reply import Reply
from agent.contract.terms import Presence
from bridge.app import create_app
from bridge.settings import BridgeSettings
from tests.bridge.conftest import calling

ROOT = Path(__file__).parents[2]


def program(*lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        cwd=ROOT,
    )


@pytest.mark.anyio
async def test_the_agent_is_open_while_the_bridge_serves(settings, agent):
    async with calling(settings, agent) as http:
        assert agent.is_open
        assert (await http.get("/healthz")).json() == {"status": "ok"}
    assert not agent.is_open


@pytest.mark.anyio
async def test_ready(http):
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["engines"]["llm"]["model"] == "echo"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("connected", "presence", "missing"),
    [
        (False, None, ["broker", "agent"]),
        (True, None, ["agent"]),
        (True, Presence.OFFLINE, ["agent"]),
        (False, Presence.ONLINE, ["broker"]),
    ],
)
async def test_not_ready_says_what_is_missing(http, agent, connected, presence, missing):
    agent.connected, agent.presence = connected, presence
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert [what.split()[1] for what in answer.json()["missing"]] == missing
    assert answer.headers["Retry-After"]


@pytest.mark.anyio
async def test_an_unknown_path_is_a_problem(http):
    answer = await http.get("/v2/ask")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.anyio
async def test_another_method_is_told_all_that_there_are(http):
    answer = await http.put("/v1/requests/q1", json={})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, DELETE")
    assert answer.json()["detail"] == "/v1/requests/q1 takes GET, DELETE, not PUT; see /docs"


@pytest.mark.anyio
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_documentation_needs_no_other_server(http, page):
    html = (await http.get(page)).text
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", html)
    assert links
    for link in links:
        assert link.startswith("/")
        assert (await http.get(link)).status_code == 200


@pytest.mark.anyio
async def test_openapi_has_every_model_it_refers_to(http):
    document = (await http.get("/openapi.json")).json()
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert {"Request", "Reply", "Problem"} <= referred <= set(document["components"]["schemas"])
    operation = document["paths"]["/v1/ask"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "text/plain",
        "multipart/form-data",
        "audio/wav",
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert {"detail", "code", "reply"} < set(document["components"]["schemas"]["Problem"]["properties"])
    assert set(Reply.model_fields) == set(document["components"]["schemas"]["Reply"]["properties"])


def test_settings_from_the_environment(monkeypatch):
    monkeypatch.setenv("EDGEVOICE_BRIDGE_MAX_WAITING", "7")
    monkeypatch.setenv("EDGEVOICE_BRIDGE_MQTT__HOST", "broker.example")
    settings = BridgeSettings()
    assert settings.max_waiting == 7
    assert (settings.mqtt.host, settings.mqtt.username) == ("broker.example", "bridge")


def test_every_setting_says_what_it_is():
    assert field_docs(BridgeSettings).keys() == BridgeSettings.model_fields.keys()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HOST", "0.0.0.0", "edgevoice keys add"),
        ("PORT", "many", "EDGEVOICE_BRIDGE_PORT"),
        ("MQTT", "no JSON", '"mqtt"'),
        ("MQTT__PASSWORD_FILE", "/nowhere/password", "'/nowhere/password'"),
    ],
)
def test_a_bad_setting_is_one_line(variable, value, told):
    done = program("import runpy, sys", "sys.argv = ['bridge']", "runpy.run_module('bridge', run_name='__main__')",
                   **{f"EDGEVOICE_BRIDGE_{variable}": value})  # fmt: skip
    assert done.returncode == 78  # which systemd does not try again
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_uvicorn_finds_the_app():
    done = program(
        "from uvicorn.importer import import_from_string", "print(import_from_string('bridge.app:app').title)"
    )
    assert done.stdout.strip() == "EdgeVoice", done.stderr


def test_only_app_is_made_on_demand():
    import bridge.app  # noqa: PLC0415

    assert not hasattr(bridge.app, "application")
    assert create_app().title == "EdgeVoice"
