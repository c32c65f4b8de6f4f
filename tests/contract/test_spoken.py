"""A large clip is cut out of its JSON, and what is read is what the whole would have said."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract import spoken
from agent.contract.base64 import decode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.spoken import read_request

LARGE = bytes(range(256)) * 100
CLIP = base64.b64encode(LARGE).decode()


def by_parts(payload):
    """The same, without a short cut."""
    request = Request.decode(payload)
    clip = None if request.audio is None else decode_base64(request.audio)
    return request.model_copy(update={"audio": None}), clip


@pytest.mark.parametrize(
    "fields",
    [
        {"audio": CLIP},
        {"id": "a", "audio": CLIP, "reply_mode": "both"},
        {"stream": {"audio": True}, "audio": CLIP},
        {"metadata": {"note": 'say "audio": "now"'}, "audio": CLIP},
        {"audio": CLIP.rstrip("=")},
        {"audio": f"data:audio/wav;base64,{CLIP}"},
        {"audio": base64.encodebytes(LARGE).decode()},
        {"audio": base64.urlsafe_b64encode(LARGE).decode()},
        {"text": "x" * 20_000},
    ],
    ids=range(9),
)
@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " :\n")], ids=["tight", "wide"])
def test_it_is_read_as_it_was_meant(fields, separators):
    payload = json.dumps(fields, separators=separators).encode()
    assert read_request(payload) == by_parts(payload)


def test_a_clip_of_another_name_is_not_taken_for_the_question():
    payload = json.dumps({"text": "hi", "tts": {"audio": CLIP}}).encode()
    with pytest.raises(ContractError) as refused:
        read_request(payload)
    assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, "tts.audio")


def test_of_a_clip_given_twice_the_last_one_counts():
    small = base64.b64encode(b"small").decode()
    for first, last, clip in ((CLIP, small, b"small"), (small, CLIP, LARGE), (CLIP, CLIP, LARGE)):
        payload = f'{{"audio":"{first}","audio":"{last}"}}'.encode()
        assert read_request(payload)[1] == clip


@pytest.mark.parametrize("ending", ['"', '", "nobody": 1}', "", '"} more', '", "id": "\\ud800"}'])
def test_what_is_wrong_is_told_as_if_nothing_had_been_cut(ending):
    payload = f'{{"audio": "{CLIP}{ending}'.encode()
    with pytest.raises(ContractError) as expected:
        by_parts(payload)
    with pytest.raises(ContractError) as refused:
        read_request(payload)
    assert refused.value.message == expected.value.message


@pytest.mark.usefixtures("everything_is_large")
@given(
    st.binary(min_size=1, max_size=60),
    st.sampled_from([b"=", b"A", b"-", b"_", b".", b" ", b"\\n", b"\\u0041", b"/", b"\\/", b"+", b"\xff", b""]),
    st.integers(0, 80),
    st.booleans(),
)
def test_whatever_is_in_it_both_ways_agree(data, extra, place, first):
    written = bytearray(base64.b64encode(data))
    written[place:place] = extra
    clip = b'"audio":"%b"' % bytes(written)
    payload = b"{%b,%b}" % ((clip, b'"id":"a"') if first else (b'"id":"a"', clip))
    assert outcome(read_request, payload) == outcome(by_parts, payload)


def outcome(read, payload):
    try:
        return read(payload)
    except ContractError as exc:
        return exc.code, exc.message


@pytest.fixture(scope="module")
def everything_is_large():
    """Also a short clip is cut out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken, "_LARGE_BYTES", 0)
        yield
