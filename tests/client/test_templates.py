"""What is known of an agent's templates: what its retained topics say, on the connection that there is."""

from agent.client.templates import Templates
from agent.contract.topics import Topics
from agent.mqtt.message import Message

TOPICS = Topics()
BODY = b'{"template":"{user}"}'


def heard(*messages):
    templates = Templates(TOPICS)
    for name, payload, epoch in messages:
        assert templates.hear(Message(TOPICS.template(name), payload, retain=True, epoch=epoch))
    return list(templates.known)


def test_they_come_and_go():
    assert heard(("b", BODY, 1), ("a", BODY, 1)) == ["a", "b"]
    assert heard(("a", BODY, 1), ("b", BODY, 1), ("a", b"", 1)) == ["b"]


def test_what_ended_while_there_was_no_connection_is_not_known_any_more():
    assert heard(("a", BODY, 1), ("b", BODY, 1), ("b", BODY, 2)) == ["b"]


def test_all_may_have_ended_by_then():
    templates = Templates(TOPICS)
    templates.hear(Message(TOPICS.template("a"), BODY, retain=True, epoch=1))
    templates.hear(Message(TOPICS.info, b"{}", retain=True, epoch=2))
    assert not templates.known


def test_one_that_cannot_be_read_is_passed_over():
    assert heard(("a", BODY, 1), ("a", b"{", 1), ("b", b"\xff", 1), ("c", BODY, 1)) == ["c"]


def test_other_topics_are_for_others():
    assert not Templates(TOPICS).hear(Message(TOPICS.status, b"online"))
