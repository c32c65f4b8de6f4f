"""Parts killed again and again while clients of every kind ask: each request has its one outcome."""

import pytest

from agent.stack import Part
from tests.faults.trial import trial

pytestmark = [pytest.mark.anyio, pytest.mark.once]

ON_EVERY_CHANGE = {"autosave_on_changes": "true", "autosave_interval": "1"}


async def test_an_agent_that_is_killed_loses_nothing_that_is_asked_once(tmp_path):
    """R1"""
    async with trial(tmp_path, mix=("mqtt5", "mqtt311"), retry_s=None) as t:
        async with t.killing(Part.AGENT, times=3):
            await t.load(100, per_s=25)
        verdict = await t.verdict()
    assert not verdict.violations


@pytest.mark.parametrize("persistence", [ON_EVERY_CHANGE, {}], ids=["on every change", "as shipped"])
async def test_a_broker_that_is_killed_too_loses_nothing_that_is_asked_again(tmp_path, persistence):
    """R2, R3"""
    async with trial(tmp_path, broker=persistence) as t:
        async with t.killing(Part.AGENT, Part.BROKER, Part.BRIDGE, times=2):
            await t.load(100, per_s=25)
        verdict = await t.verdict()
    assert not verdict.violations


async def test_a_broker_that_is_restarted_in_order_loses_nothing_that_is_asked_once(tmp_path):
    """R4"""
    async with trial(tmp_path, mix=("mqtt5", "mqtt311"), retry_s=None) as t:
        async with t.killing(Part.BROKER, times=3, in_order=True):
            await t.load(100, per_s=25)
        verdict = await t.verdict()
    assert not verdict.violations
