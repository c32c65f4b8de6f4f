"""Each template has its retained topic, and what is none any more has none."""

import asyncio
import json
from typing import Any

import pytest

from agent.contract.templates import Template
from agent.contract.topics import Topics
from agent.journal.journal import Journal
from agent.mqtt.message import Delivery, Message
from agent.templates.catalogue import Catalogue
from agent.templates.retained import RetainedTemplates
from tests.fakes import FakeMqtt

pytestmark = pytest.mark.anyio

TOPICS = Topics()
HOME = Template.decode(b'{"template":"Briefly: {user}"}')
BRIEF = Template.decode(b'{"template":"{city}: {user}","city":null}')


@pytest.fixture
async def catalogue(tmp_path):
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        yield Catalogue(journal.templates, {"home": HOME})


@pytest.fixture
def mqtt():
    return FakeMqtt()


@pytest.fixture
def retained(catalogue, mqtt):
    made = RetainedTemplates(TOPICS, mqtt, catalogue)
    catalogue.on_change = made.changed
    return made


def told(mqtt):
    assert all(publication.retain and publication.qos == 1 for publication in mqtt.published)
    return [(publication.topic.rpartition("/")[2], publication.payload) for publication in mqtt.published]


@pytest.mark.usefixtures("retained")
async def test_each_change_is_told(catalogue, mqtt):
    await catalogue.put("brief", BRIEF)
    await catalogue.delete("brief")
    await catalogue.undo("brief")
    assert told(mqtt) == [("brief", BRIEF.encode()), ("brief", b""), ("brief", BRIEF.encode())]
    assert json.loads(BRIEF.encode()) == {"config": {}, "city": None, "template": "{city}: {user}"}


async def test_all_are_told_again(catalogue, mqtt, retained):
    await catalogue.put("brief", BRIEF)
    mqtt.published.clear()
    retained.repeat()
    assert told(mqtt) == [("brief", BRIEF.encode()), ("home", HOME.encode())]


async def test_what_an_earlier_life_left_behind_is_ended(mqtt, retained):
    for name, payload, kept in [
        ("old", b"{}", True),  # which is to go
        ("home", b"{}", True),
        ("new", b"{}", False),
        ("gone", b"", True),
    ]:
        retained.hear(Message(TOPICS.template(name), payload, retain=kept))
    assert told(mqtt) == [("old", b"")]
    assert len(mqtt.acked) == 4


async def test_one_that_the_broker_does_not_take_is_passed_over(catalogue):
    small: Any = FakeMqtt(packet_limit=120)
    retained = RetainedTemplates(TOPICS, small, catalogue)
    await catalogue.put("large", Template.decode(json.dumps({"template": "{user}" + "x" * 200}).encode()))
    retained.repeat()
    assert told(small) == [("home", HOME.encode())]


async def test_a_broker_whose_rules_are_older_is_told_of_once(mqtt, retained, caplog):
    mqtt.says = Delivery.REFUSED
    for _ in range(2):
        retained.repeat()
        await asyncio.sleep(0)
    assert [record.message for record in caplog.records] == [
        "the broker refuses edgevoice/v1/orin/template/+; see its ACL"
    ]


async def test_where_the_journal_cannot_be_read_nothing_is_told_or_ended(tmp_path, mqtt):
    (tmp_path / "journal.db").mkdir()
    async with Journal(tmp_path / "journal.db", synchronous="NORMAL") as journal:
        retained = RetainedTemplates(TOPICS, mqtt, Catalogue(journal.templates, {"home": HOME}))
        retained.repeat()
        retained.hear(Message(TOPICS.template("old"), b"{}", retain=True))
    assert told(mqtt) == []
