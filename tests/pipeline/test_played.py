"""How much of an answer was heard, by what was played of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pipeline.played import Played, Said

ANSWER = [
    Said("It is noon. ", 1_000, 0),
    Said("```\ncode\n```\n"),
    Said("The sun is high above us. ", 2_000, 3),
    Said("Goodbye.", 500, 4),
]


@pytest.mark.parametrize(
    ("played", "heard"),
    [
        (Played(0), ""),
        (Played(600), "It is"),
        (Played(999), "It is noon."),
        (Played(1_000), "It is noon. ```\ncode\n```"),
        (Played(2_000), "It is noon. ```\ncode\n```\nThe sun is"),
        (Played(60_000), "It is noon. ```\ncode\n```\nThe sun is high above us. Goodbye."),
        (Played(last_chunk=0), "It is noon."),
        (Played(last_chunk=2), "It is noon."),
        (Played(last_chunk=3), "It is noon. ```\ncode\n```\nThe sun is high above us."),
        (Played(ms=1, last_chunk=4), "It is noon. ```\ncode\n```\nThe sun is high above us. Goodbye."),
    ],
)
def test_what_was_heard_ends_with_a_whole_word(played, heard):
    assert played.of(ANSWER) == heard


PARTS = st.lists(
    st.builds(Said, st.text("ab .\n", min_size=1), st.floats(0, 5_000), st.none() | st.integers(0, 9)), max_size=6
)


@given(PARTS, st.floats(0, 20_000), st.floats(0, 20_000))
def test_more_played_is_never_less_heard_and_all_of_it_is_the_answer(said, one, other):
    answer = "".join(part.text for part in said).strip()
    less, more = (Played(ms).of(said) for ms in sorted((one, other)))
    assert more.startswith(less)
    assert answer.startswith(more)
    assert Played(sum(part.duration_ms for part in said) + 1).of(said) == answer


@given(PARTS, st.integers(0, 9))
def test_chunks_count_whole_parts(said, last_chunk):
    answer = "".join(part.text for part in said).strip()
    assert answer.startswith(Played(last_chunk=last_chunk).of(said))
