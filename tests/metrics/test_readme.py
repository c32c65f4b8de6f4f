"""The pages of metrics and of the log name every one, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent.interactions.interaction import Interaction
from agent.metrics.counts import Counts
from agent.metrics.gauges import families
from bridge.app import new_tally
from bridge.metrics.collected import Metrics
from bridge.waiting import Waiting
from bridge.workers.roll import Roll
from tests.bridge.fakes import FakeAgent
from tests.metrics.test_metrics import vitals

pytestmark = [pytest.mark.anyio, pytest.mark.once]

AGENT = Path(__file__).parents[2] / "agent"


def rows(page, before):
    """The cells of the table whose header begins with `before`, a list for each row."""
    table = (AGENT / page / "README.md").read_text(encoding="utf-8").split(f"| {before} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def exported():
    """Name → labels of each metric of agent and bridge."""
    agent = FakeAgent()
    bridge = Metrics(new_tally(), agent, Waiting(agent, max_waiting=1, roll=Roll()))
    told: list[Any] = [*families(vitals()), *bridge.collect()]
    found = [(each.name, each.type, each._labelnames) for each in told]
    found += [(each._name, each._type, each._labelnames) for each in vars(Counts(CollectorRegistry())).values()]
    return {name + ("_total" if kind == "counter" else ""): tuple(labels) for name, kind, labels in found}


async def test_the_metrics():
    documented = {
        name.strip("`"): tuple(re.findall(r"`(\w+)`", labels)) for name, labels, _ in rows("metrics", "metric")
    }
    assert documented == exported()


def test_the_fields_of_the_log():
    named = [name for fields, *_ in rows("interactions", "field") for name in re.findall(r"`(\w+)`", fields)]
    assert named == list(Interaction.model_fields)
