"""An answer ends before the first of its stop strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pipeline.guards.stop_strings import StopStrings

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("One. Two.", ["."], "One"),
        ("One\nTwo", ["\n"], "One"),
        ("aab", ["ab"], "a"),
        ("aaab", ["aab"], "a"),
        ("Observation: yes", ["Action:", "Observation:"], ""),
        ("abcd", ["abcd", "bc"], "a"),
        ("abc", ["bc", "abc"], ""),
        ("ab", ["abc"], "ab"),
        ("Stop", ["stop"], "Stop"),
        ("text", [], "text"),
        ("text", [""], "text"),
    ],
)
def test_first_of_them(text: str, stop: list[str], left: str) -> None:
    for pieces in ([text], list(text)):
        watch = StopStrings(stop)
        shown = ""
        for piece in pieces:
            shown += watch.feed(piece)
            if watch.is_over:
                break
        assert (shown if watch.is_over else shown + watch.end()) == left


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
def test_no_more_is_held_back_than_may_become_one(text: str, stop: list[str]) -> None:
    watch = StopStrings(stop)
    shown = ""
    for index, char in enumerate(text, start=1):
        shown += watch.feed(char)
        if watch.is_over:
            break
        held = text[len(shown) : index]
        assert not held or any(string.startswith(held) for string in stop)
