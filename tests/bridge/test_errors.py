"""Errors as HTTP says them."""

import pytest

from agent.contract.errors import ErrorCode
from agent.contract.reply import ErrorBody, Reply
from agent.contract.terms import Status
from bridge.errors import HTTP_STATUS, failed, problem


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_status(code):
    answer = problem(ErrorBody(code=code, message="why"))
    assert answer.status_code == HTTP_STATUS[code]
    assert ("Retry-After" in answer.headers) == (answer.status_code in {429, 503})
    assert answer.media_type == "application/problem+json"


def test_a_failure_without_an_error_is_internal():
    assert failed(Reply(id="r1", status=Status.ERROR, agent="orin")).status_code == 500
