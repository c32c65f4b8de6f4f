"""Prompt templates over HTTP: everybody reads and renders what the agent told, operators change it."""

import json

import pytest

from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Sampling
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation, Mode
from agent.provision.api_keys import add_key
from bridge.settings import BridgeSettings
from tests.bridge.conftest import calling
from tests.bridge.fakes import failed_reply

pytestmark = pytest.mark.anyio

SEED = {
    "config": {"temperature": "1.0", "top_p": "0.95", "max_tokens": "256"},
    "system": "Be brief. ",
    "user": "Why?",
    "template": "{system}{user}",
}
BRIEF = {"config": {"temperature": 0}, "city": None, "template": "In {city}: {user}"}
CHANGES = {
    ("PUT", "brief"): (AdminOperation.TEMPLATES_PUT, Template.decode(json.dumps(BRIEF).encode())),
    ("DELETE", "brief"): (AdminOperation.TEMPLATES_DELETE, None),
    ("POST", "brief/undo"): (AdminOperation.TEMPLATES_UNDO, None),
}


@pytest.fixture
async def agent(agent):
    agent.templates = {"brief": Template.decode(json.dumps(BRIEF).encode())}
    return agent


@pytest.fixture
async def operator(agent, tmp_path):
    async with calling(BridgeSettings(admin=True, keys_file=tmp_path / "keys"), agent) as client:
        yield client


def body_of(method):
    return {"json": BRIEF} if method == "PUT" else {}


async def test_the_api_describes_them(http):
    """Row 3.9"""
    described = (await http.get("/openapi.json")).json()
    paths = {
        path: set(methods) for path, methods in described["paths"].items() if "template" in path or "prompt" in path
    }
    assert paths == {
        "/v1/templates": {"get"},
        "/v1/templates/{name}": {"get", "put", "delete"},
        "/v1/templates/{name}/undo": {"post"},
        "/v1/templates/{name}/render": {"post"},
        "/prompt": {"post"},
    }
    assert "config" in described["components"]["schemas"]["Template"]["properties"]


async def test_they_are_listed_and_read(http):
    listed = (await http.get("/v1/templates")).json()
    assert listed == {"templates": [{"name": "brief", "needs": ["city"]}]}
    for name in ("brief", "brief.json"):
        assert (await http.get(f"/v1/templates/{name}")).json() == {
            "name": "brief",
            "needs": ["city"],
            "template": {**BRIEF, "config": {"temperature": 0.0}},
        }


async def test_one_is_rendered_and_nobody_asked(http, agent):
    """Row 3.10"""
    given = {"text": "Hi {city}", "vars": {"city": "Bern"}}
    answer = await http.post("/v1/templates/brief/render", json=given)
    assert answer.json() == {"prompt": "In Bern: Hi {city}", "config": {"temperature": 0.0, "stop": []}}
    assert agent.asked == []


async def test_what_does_not_fit_is_named(http):
    """Row 3.15, at use"""
    answer = await http.post("/v1/templates/brief/render", json={"text": "Hi", "vars": {"town": "Thun"}})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "template_invalid")
    assert (told["missing_keys"], told["unused_keys"]) == (["city"], ["town"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "another", 404, "not_found"),
        ("POST", "another/render", 404, "not_found"),
        ("GET", "a%20b", 400, "bad_request"),
        ("GET", "..%2Fsecret", 404, "not_found"),
        ("GET", "brief?version=-1", 400, "bad_request"),
    ],
)
async def test_what_is_not_there_is_said(http, method, path, status, code):
    """Row 3.4: no path leads out"""
    answer = await http.request(method, f"/v1/templates/{path}", json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_before_the_agent_said_anything_nothing_is_known(http, agent):
    agent.info = None
    answer = await http.get("/v1/templates")
    assert (answer.status_code, answer.json()["code"]) == (503, "agent_offline")


async def test_there_may_be_none(http, agent):
    agent.templates = {}
    assert (await http.get("/v1/templates")).json() == {"templates": []}
    answer = await http.get("/v1/templates/brief")
    assert (answer.status_code, answer.json()["detail"]) == (404, "no template 'brief'; there are none")


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_operators_change_them(operator, agent, method, path):
    answer = await operator.request(method, f"/v1/templates/{path}", **body_of(method))
    operation, template = CHANGES[method, path]
    assert answer.status_code == 200
    assert agent.administered == [(operation, AdminRequest(name="brief", template=template))]


async def test_an_earlier_version_is_asked_of_the_agent(operator, agent):
    assert (await operator.get("/v1/templates/brief?version=0")).status_code == 200
    assert agent.administered == [(AdminOperation.TEMPLATES_GET, AdminRequest(name="brief", version=0))]


@pytest.mark.parametrize(("method", "path"), [*CHANGES, ("GET", "brief?version=1")])
async def test_where_no_operators_are_let_in_nothing_is_changed(http, agent, method, path):
    answer = await http.request(method, f"/v1/templates/{path}", **body_of(method))
    assert (answer.status_code, answer.json()["reason"]) == (403, "admin_off")
    assert agent.administered == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"template": "{user}", "config": {"temperature": "9"}}, "config.temperature"),
        ({"template": "{user}", "config": {"best_of": 2}}, "config.best_of"),
        ({"template": "{user}", "a": 1}, "a"),
        ({}, "template"),
    ],
)
async def test_what_is_no_template_is_refused_here(operator, agent, body, field):
    """Rows 3.5, 3.6"""
    answer = await operator.put("/v1/templates/brief", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert agent.administered == []


async def test_what_the_agent_refuses_is_a_problem(operator, agent):
    error = ContractError(ErrorCode.TEMPLATE_INVALID, "no key", missing_keys=("city",))
    agent.outcome = failed_reply(error)
    answer = await operator.put("/v1/templates/brief", json=BRIEF)
    assert (answer.status_code, answer.json()["missing_keys"]) == (400, ["city"])


async def test_a_prompt_file_with_its_question_is_asked_as_it_is(http, agent):
    """Rows 3.5, 3.10"""
    answer = await http.post("/prompt", json=SEED, headers={"Idempotency-Key": "q1"})
    assert (answer.status_code, answer.json()["text"], answer.json()["id"]) == (200, "Be brief. Why?!", "q1")
    [asked] = agent.asked
    assert (asked.text, asked.mode) == ("Be brief. Why?", Mode.RAW)
    assert asked.params == Sampling(temperature=1.0, top_p=0.95, max_tokens=256)


async def test_it_may_be_put_into_the_form_of_a_conversation(http, agent):
    await http.post("/prompt?mode=chat", json=SEED)
    assert agent.asked[0].mode is Mode.CHAT
    assert (await http.post("/prompt?mode=song", json=SEED)).status_code == 400


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"template": "{system}{user}{city}"}, {"missing_keys": ["city"]}),
        ({"town": "Thun"}, {"unused_keys": ["town"]}),
        ({"template": "{system}"}, {"missing_keys": ["user"]}),
        ({"user": None}, {"missing_keys": ["user"]}),
        ({"template": "{system}{user}{"}, {"field": "template"}),
        ({"template": "{system}{user}{system.__class__}"}, {"field": "template"}),
        ({"system": "", "user": " "}, {"code": "bad_request", "field": "user"}),
        ({"config": {"temperature": "hot"}}, {"code": "bad_request", "field": "config.temperature"}),
    ],
)
async def test_a_prompt_that_cannot_be_made_is_not_asked(http, agent, change, named):
    """Rows 3.7, 3.15"""
    answer = await http.post("/prompt", json={**SEED, **change})
    assert answer.status_code == 400
    told = {"code": "template_invalid", **named}
    assert {name: answer.json().get(name) for name in told} == told
    assert agent.asked == []


async def test_a_body_that_is_not_said_to_be_json_is_refused(http):
    answer = await http.post("/prompt", content=json.dumps(SEED))
    assert (answer.status_code, answer.json()["reason"]) == (415, "content_type")


async def test_what_becomes_of_a_prompt_is_told_as_of_any_request(http, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.MODEL_NOT_READY, "loading"))
    assert (await http.post("/prompt", json=SEED)).status_code == 503


async def test_only_holders_of_a_key_may_and_only_operators_change(agent, tmp_path):
    """Once there are keys."""
    file = tmp_path / "bridge-keys"
    keys = {"reader": add_key(file, "reader"), "chief": add_key(file, "chief", operator=True)}
    async with calling(BridgeSettings(admin=True, keys_file=file), agent) as client:
        for method, path in (("GET", "/v1/templates"), ("PUT", "/v1/templates/brief"), ("POST", "/prompt")):
            assert (await client.request(method, path, json=SEED)).status_code == 401
        shown = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        assert (await client.get("/v1/templates", headers=shown["reader"])).status_code == 200
        assert (await client.post("/prompt", json=SEED, headers=shown["reader"])).status_code == 200
        refused = await client.put("/v1/templates/brief", json=BRIEF, headers=shown["reader"])
        assert (refused.status_code, refused.json()["reason"]) == (403, "not_operator")
        assert (await client.put("/v1/templates/brief", json=BRIEF, headers=shown["chief"])).status_code == 200
