"""Asking without waiting, on a stand-in for the agent: 202, what became of it, and how to stop it."""

import asyncio

import pytest

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.lookup import Found
from agent.contract.terms import RunState, Status
from tests.bridge.fakes import failed_reply

pytestmark = pytest.mark.anyio

LATER = {"Prefer": "respond-async"}


@pytest.fixture
def busy(agent):
    """The agent takes its time."""
    agent.answers.clear()
    yield agent
    agent.answers.set()


async def test_the_agent_has_it_before_the_caller_is_told(http, busy):
    answer = await http.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=LATER)
    assert (answer.status_code, answer.headers["Location"]) == (202, "/v1/requests/r1")
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.json() == {"id": "r1", "state": "queued", "position": 2, "eta_ms": 1_500}
    assert [asked.id for asked in busy.asked] == ["r1"]
    assert (await http.get("/v1/requests/r1")).json()["state"] == "queued"


async def test_the_reply_is_there_to_be_fetched(http, busy):
    await http.post("/v1/ask", json={"text": "Hi"}, headers={**LATER, "Idempotency-Key": "k1"})
    busy.answers.set()
    while (await http.get("/v1/requests/k1")).json()["state"] != "done":
        await asyncio.sleep(0)
    reply = (await http.get("/v1/requests/k1")).json()["reply"]
    assert (reply["id"], reply["status"], reply["text"]) == ("k1", "ok", "Hi!")


@pytest.mark.usefixtures("busy")
async def test_a_preference_is_one_of_several(http):
    headers = [("Prefer", "handling=strict"), ("Prefer", "wait=5, Respond-Async; x=y")]
    assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=headers)).status_code == 202


async def test_what_the_agent_refuses_at_once_is_said_at_once(http, agent):
    agent.outcome = failed_reply(ContractError(ErrorCode.BUSY, "full", retry_after_ms=2_500))
    answer = await http.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=LATER)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "3")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ContractError(ErrorCode.AGENT_OFFLINE, "not online"), 503),
        (ContractError(ErrorCode.BROKER_UNAVAILABLE, "no broker"), 502),
        (NoReply("r1", 61.0), 504),
    ],
)
async def test_an_agent_that_cannot_be_asked(http, agent, outcome, status):
    agent.outcome = outcome
    for answer in (
        await http.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=LATER),
        await http.get("/v1/requests/r1"),
        await http.delete("/v1/requests/r1"),
    ):
        assert (answer.status_code, answer.json()["id"]) == (status, "r1")


async def test_a_failure_is_the_state_of_a_request_and_no_failure_of_looking_it_up(http, agent):
    failure = failed_reply(ContractError(ErrorCode.EXPIRED, "too late"), Status.EXPIRED)
    agent.known["bridge", "r1"] = Found(state=RunState.DONE, reply=failure)
    answer = await http.get("/v1/requests/r1")
    assert (answer.status_code, answer.json()["reply"]["error"]["code"]) == (200, "expired")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_nobody_asked(http, agent, method):
    answer = await http.request(method, "/v1/requests/r1")
    assert (answer.status_code, answer.json()["code"], answer.json()["id"]) == (404, "not_found", "r1")
    assert (await http.request(method, "/v1/requests/no%20id")).status_code == 400
    assert agent.cancelled.empty()


async def test_stopping_is_asked_of_the_agent(http, busy):
    await http.post("/v1/ask", json={"id": "r1", "text": "Hi"}, headers=LATER)
    answer = await http.delete("/v1/requests/r1?played_ms=1200&last_seq=2")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert busy.cancelled.get_nowait() == "r1"
    assert busy.played == [(1_200, 2)]
    assert (await http.delete("/v1/requests/r1?played_ms=-1")).status_code == 400


async def test_what_is_done_is_not_stopped(http, agent):
    await http.post("/v1/ask", json={"id": "r1", "text": "Hi"})
    answer = await http.delete("/v1/requests/r1")
    assert (answer.status_code, answer.json()["reply"]["text"]) == (200, "Hi!")
    assert agent.cancelled.empty()


@pytest.mark.usefixtures("busy")
async def test_who_does_not_wait_takes_a_place_too(http, settings):
    for number in range(settings.max_waiting):
        assert (await http.post("/v1/ask", json={"id": f"r{number}", "text": "Hi"}, headers=LATER)).status_code == 202
    answer = await http.post("/v1/ask", json={"text": "Hi"}, headers=LATER)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "1")


async def test_speech_alone_cannot_be_the_answer_to_who_does_not_wait(http, agent):
    headers = {**LATER, "Accept": "audio/wav"}
    assert (await http.post("/v1/ask", json={"text": "Hi"}, headers=headers)).status_code == 406
    assert not agent.asked
