"""Frames survive the wire, however it cuts them up."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engines.frames import Frame, Kind, read_frame

values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
fields = st.dictionaries(st.text(), st.recursive(values, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
frames = st.builds(
    Frame, kind=st.sampled_from(Kind), call=st.integers(0, 2**31), fields=fields, body=st.binary(max_size=300)
)


async def read_all(data: bytes, cuts: list[int]) -> list[Frame]:
    reader = asyncio.StreamReader()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        reader.feed_data(data[start:end])
    reader.feed_eof()
    read = []
    while frame := await read_frame(reader):
        read.append(frame)
    return read


@given(sent=st.lists(frames, max_size=5), cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_what_is_sent_arrives_in_order(sent, cuts):
    data = b"".join(frame.encode() for frame in sent)
    assert asyncio.run(read_all(data, cuts)) == sent


@given(frame=frames, lost=st.integers(1, 400))
def test_half_a_frame_is_the_end(frame, lost):
    data = frame.encode()
    assert asyncio.run(read_all(data[: max(0, len(data) - lost)], [])) == []


def test_an_absurd_length_is_refused():
    with pytest.raises(ValueError, match="out of step"):
        asyncio.run(read_all(b"\xff" * 8, []))
