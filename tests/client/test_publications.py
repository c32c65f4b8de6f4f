"""The mark of a request: what bears the same one is the same request to the agent, too."""

import pytest

from agent.client.publications import marked
from agent.contract.messages import Request, StreamOptions
from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Topics
from agent.journal.entries import Admitted, ReplyTo, RunKey

TOPIC = Topics().request("demo", Operation.CHAT)
ASKED = Request(id="r1", text="Hi")


def digest(request):
    return Admitted(RunKey("demo", "r1"), Operation.CHAT, request, None, ReplyTo("reply"), 0.0).digest


@pytest.mark.parametrize(
    ("fields", "is_the_same"),
    [
        ({"stream": StreamOptions(audio=True)}, True),
        ({"barge_in": True, "priority": 3, "deadline_ms": 1}, True),
        ({"text": "Ho"}, False),
        ({"session_id": "hall"}, False),
        ({"reply_mode": ReplyMode.BOTH}, False),
    ],
)
def test_the_mark_tells_apart_what_the_agent_does(fields, is_the_same):
    again = ASKED.model_copy(update=fields)
    marks = {marked(TOPIC, request).correlation_data for request in (ASKED, again)}
    assert (len(marks) == 1) == (digest(ASKED) == digest(again)) == is_the_same


def test_a_clip_belongs_to_it():
    clips = [Request(id="r1", audio=audio) for audio in ("UklGRg==", "UklGRh==")]
    assert len({marked(TOPIC, request).correlation_data for request in clips}) == 2
