"""The operators' routes: off unless the bridge is told otherwise, and then what the agent says."""

import pytest

from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import AdminOperation
from bridge.settings import BridgeSettings
from tests.bridge.conftest import calling
from tests.bridge.fakes import failed_reply

pytestmark = pytest.mark.anyio

CALLS = {
    ("GET", "health"): (AdminOperation.HEALTH, None),
    ("GET", "models"): (AdminOperation.MODELS_LIST, None),
    ("POST", "models/m1/load"): (AdminOperation.MODELS_LOAD, "m1"),
    ("POST", "models/m1/unload"): (AdminOperation.MODELS_UNLOAD, "m1"),
    ("POST", "drain"): (AdminOperation.DRAIN, None),
}


@pytest.fixture
async def operator(agent):
    async with calling(BridgeSettings(admin=True), agent) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_off_by_default(http, agent, method, path):
    answer = await http.request(method, f"/v1/admin/{path}")
    assert (answer.status_code, answer.json()["reason"]) == (403, "admin_off")
    assert agent.administered == []


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_the_agent_is_asked(operator, agent, method, path):
    answer = await operator.request(method, f"/v1/admin/{path}")
    assert (answer.status_code, answer.json()) == (200, {"models": []})
    operation, model = CALLS[method, path]
    assert agent.administered == [(operation, AdminRequest(model=model))]


async def test_what_the_agent_refuses_is_a_problem(operator, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.NOT_FOUND, "no model 'm1'", field="model"))
    answer = await operator.post("/v1/admin/models/m1/load")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_name_that_is_none_is_refused(operator, agent):
    assert (await operator.post("/v1/admin/models/a b/load")).status_code == 400
    assert agent.administered == []


async def test_a_web_page_of_others_may_not_ask(operator, agent):
    answer = await operator.post("/v1/admin/drain", headers={"Origin": "http://elsewhere.example"})
    assert (answer.status_code, agent.administered) == (403, [])
