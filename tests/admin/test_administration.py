"""An operator's drain is for the agent that hears it, not for the one after."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.admin.administration import Administration
from agent.contract.admin import AdminRequest
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import Phase

pytestmark = pytest.mark.anyio


async def test_a_drain_that_the_broker_kept_for_the_one_before_is_refused():
    stop = asyncio.Event()
    state = cast("Any", lambda: SimpleNamespace(phase=Phase.STARTING))
    administration = Administration(cast("Any", None), info=cast("Any", None), state=state, stop=stop)

    with pytest.raises(ContractError, match="starting") as caught:
        await administration.drain(AdminRequest())

    assert caught.value.code is ErrorCode.MODEL_NOT_READY
    assert not stop.is_set()
