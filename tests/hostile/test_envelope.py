"""Every field of a request, of every type, in every disguise, through a real broker: one valid reply each."""

import json
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.contract.messages import HearingOptions, Request, Sampling, StreamOptions, VoiceOptions
from agent.contract.reply import Reply
from agent.contract.terms import Status, is_id
from tests.callers import spoken
from tests.hostile.conftest import prompt_caller
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

EXAMPLES = 10_000 if os.environ.get("EDGEVOICE_LONG") else 500
CLIP = wav(sine(seconds=0.05))
ROOT = "edgevoice/v1/orin"

NUMBERS = st.integers() | st.integers(-(10**400), 10**400) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(st.characters(codec=None), max_size=30)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
IDS = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64)
TOPICS = st.sampled_from([f"{ROOT}/reply/demo/x", f"{ROOT}/reply/demo/x/event", f"{ROOT}/reply/other/x", "#", ""])
WORDS = st.text(min_size=1, max_size=50)


def some_of(model, likely):
    """Any of a model's fields, likely or of any type at all; now and then one that it does not have."""
    fields = {name: likely.get(name, st.nothing()) | ANYTHING for name in model.model_fields}
    return st.fixed_dictionaries({}, optional={**fields, "nonsense": ANYTHING})


SAMPLING = some_of(
    Sampling,
    {
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "max_tokens": st.integers(1, 50),
        "stop": st.lists(WORDS, max_size=3),
        "seed": st.integers(0, 9),
    },
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": WORDS}), max_size=4
)
LIKELY = {
    "v": st.just(1),
    "id": IDS,
    "session_id": IDS,
    "reply_mode": st.sampled_from(["text", "audio", "both"]),
    "text": WORDS,
    "audio": st.just(spoken(CLIP)) | st.binary(max_size=40).map(spoken),
    "messages": MESSAGES,
    "model": IDS,
    "mode": st.sampled_from(["chat", "raw"]),
    "system": WORDS,
    "language": st.sampled_from(["en", "auto", "xx-XX"]),
    "reply_to": TOPICS,
    "deadline_ms": st.integers(1, 10**9),
    "priority": st.integers(0, 9),
    "stream": some_of(StreamOptions, {"text": st.booleans()}),
    "params": SAMPLING,
    "tts": some_of(VoiceOptions, {"voice": st.just("sine"), "speed": st.floats(0.5, 2), "sample_rate": st.just(8_000)}),
    "stt": some_of(HearingOptions, {"prompt": WORDS}),
    "metadata": st.dictionaries(WORDS, ANYTHING, max_size=3),
}
REQUESTS = some_of(Request, LIKELY) | st.builds(
    lambda question, more: {**more, **question},
    st.fixed_dictionaries({"text": WORDS}) | st.fixed_dictionaries({"audio": st.just(spoken(CLIP))}),
    st.fixed_dictionaries({}, optional={name: likely for name, likely in LIKELY.items() if name != "messages"}),
)
PAYLOADS = st.one_of(
    REQUESTS.map(lambda fields: json.dumps(fields).encode()),
    REQUESTS.map(lambda fields: b"\xef\xbb\xbf" + json.dumps(fields).encode()),
    st.builds(lambda fields, end: json.dumps(fields).encode()[:end], REQUESTS, st.integers(0, 200)),
    ANYTHING.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=100),
    st.binary(max_size=60).map(lambda rest: CLIP[:44] + rest),
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "ContentType": st.sampled_from(["application/json", "text/plain", "audio/wav", "APPLICATION/JSON; x=y", "x"]),
        "CorrelationData": st.binary(max_size=200),
        "ResponseTopic": TOPICS.filter(bool),
        "MessageExpiryInterval": st.integers(60, 2**32 - 1),
        "UserProperty": st.lists(
            st.tuples(st.sampled_from(["ev-id", "ev-session", "ev-reply-mode", "ev-language", "x"]), IDS), max_size=3
        ),
    },
)
OPERATIONS = st.sampled_from(["chat", "transcribe", "speak", "lookup"]) | st.builds(
    "wav/{}/{}".format, IDS, LIKELY["reply_mode"]
)


@pytest.fixture(scope="module", params=["mqtt5", "mqtt311"])
def asker(request, stack):
    with prompt_caller(stack, request.param) as caller:
        yield caller


@pytest.mark.timeout(1_200)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(operation=OPERATIONS, payload=PAYLOADS, properties=PROPERTIES)
def test_whatever_is_asked_one_valid_reply_is_the_outcome(asker, operation, payload, properties):
    asker.publish(asker.request(operation), payload, **(properties if asker.v5 else {}))
    reply = terminal(asker)

    found = Reply.decode(reply)
    assert json.loads(reply).keys() <= Reply.model_fields.keys()
    assert (found.v, found.agent) == (1, "orin")
    assert is_id(found.id)
    assert (found.status is Status.OK) == (found.error is None)
    if found.error:
        assert found.error.message
        assert found.error.code.value != "internal"
    assert asker.arrived.empty()


def terminal(asker):
    """The next message that is no event."""
    while True:
        message = asker.next()
        assert message.topic.startswith(f"{ROOT}/reply/demo/")
        if b'"status"' in message.payload:
            return message.payload
