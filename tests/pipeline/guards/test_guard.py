"""What of an answer is shown, whatever it is cut into, and what it comes to."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.pipeline.guards import Ending, Guard, GuardSettings

pytestmark = pytest.mark.once

ALL = GuardSettings()
NONE = GuardSettings(stop_strings=False, role_markers=False, loops=False)

PARTS = [
    *("user:", "User: ", "assistant:", "\n", "\n\n", " ", "### Human:", "<|im_start|>", "user", "[INST]", "```", "`"),
    *(
        "<think>",
        "</think>",
        "Host: a\n",
        "no ",
        "no, ",
        "It is so. ",
        "STOP",
        "ST",
        "OP",
        "好",
        "\u0e01",
        "- ",
        "|",
        ".",
    ),
    *("A", "\uff1a", "<", "[", "1", "aa", "ß", "\u0130"),
]
some = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
answers = st.builds(
    lambda before, passage, times, after: before + passage * times + after, some, some, st.integers(1, 40), some
)
cuts = st.lists(st.integers(1, 7), min_size=1, max_size=20)
every = st.builds(GuardSettings, st.booleans(), st.booleans(), st.booleans())
stops = st.lists(st.sampled_from(["STOP", "OP", "TO", "\nUser:", "no no", "."]), max_size=4)


def said(
    pieces: Sequence[str], settings: GuardSettings = ALL, stop: Sequence[str] = (), *, at_limit: bool = False
) -> tuple[str, str, Ending | None]:
    guard = Guard(settings, stop)
    shown = []
    for piece in pieces:
        shown.append(guard.feed(piece))
        if guard.ending:
            break
    shown.append(guard.end(at_limit=at_limit))
    return "".join(shown), guard.text, guard.ending


def cut(text: str, lengths: Sequence[int]) -> list[str]:
    pieces: list[str] = []
    at = 0
    while at < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(text[at : at + length])
        at += length
    return pieces


@given(answers, cuts, every, stops, st.booleans())
@example("user: How are you?\nuser: I'm fine.", [1], ALL, [], False)
def test_how_an_answer_is_cut_into_pieces_makes_no_difference(
    text: str, lengths: list[int], settings: GuardSettings, stop: list[str], at_limit: bool
) -> None:
    at_once = said([text], settings, stop, at_limit=at_limit)
    assert said(cut(text, lengths), settings, stop, at_limit=at_limit) == at_once


@given(st.text(max_size=200) | answers, cuts, stops)
def test_with_nothing_to_look_for_the_answer_stays_as_it_is(text: str, lengths: list[int], stop: list[str]) -> None:
    assert said(cut(text, lengths), NONE, stop) == (text, text, None)


@given(answers, cuts, every, stops)
def test_what_is_shown_is_the_beginning_of_what_was_written(
    text: str, lengths: list[int], settings: GuardSettings, stop: list[str]
) -> None:
    shown, kept, ending = said(cut(text, lengths), settings, stop)
    assert shown.startswith(kept)
    assert shown == kept or ending is Ending.LOOP
    assert shown in text
    if not settings.role_markers:
        assert text.startswith(shown)
    if ending is None:
        assert text.endswith(shown)
    if settings.stop_strings:
        assert not any(string in shown for string in stop)


@given(answers, cuts)
def test_nothing_comes_after_the_end(text: str, lengths: list[int]) -> None:
    guard = Guard(ALL, ["."])
    for piece in [*cut(text, lengths), "."]:
        guard.feed(piece)
    guard.end()
    before = guard.text
    if guard.ending:
        assert guard.feed("more") == guard.end() == ""
    assert guard.text == before


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["Good", " morning", "!"], ["Good", " morning", "!"]),
        (["One", "\n", "us", "eful", " thing"], ["One", "\n", "", "useful", " thing"]),
        (["a <", "b", " and [", "0]"], ["a ", "<b", " and ", "[0]"]),
        (["S", "T", "ART"], ["", "", "START"]),
    ],
)
def test_only_what_may_become_a_marker_is_held_back(pieces: list[str], shown: list[str]) -> None:
    guard = Guard(ALL, ["STOP"])
    assert [guard.feed(piece) for piece in pieces] == shown


def test_what_was_held_back_comes_at_the_end() -> None:
    guard = Guard(ALL, ["STOP"])
    assert guard.feed("Don't ST") == "Don't "
    assert guard.end() == "ST"
    assert guard.text == "Don't ST"


def test_each_can_be_turned_off() -> None:
    looping = "It is so. " * 20
    answer = f"assistant: Well. {looping}\nuser: Why? STOP"
    assert said([answer], ALL, ["STOP"])[2] is Ending.LOOP
    assert said([answer], GuardSettings(loops=False), ["STOP"])[2] is Ending.ROLE_MARKER
    assert said([answer], GuardSettings(loops=False, role_markers=False), ["STOP"])[2] is Ending.STOP_STRING
    assert said([answer], NONE, ["STOP"])[0] == answer


def test_what_ends_it_first_is_what_ended_it() -> None:
    answer = "Yes.\nuser: And now? STOP"
    assert said([answer], ALL, ["STOP"])[1:] == ("Yes.\n", Ending.ROLE_MARKER)
    assert said([answer], ALL, ["\nuser"])[1:] == ("Yes.", Ending.STOP_STRING)


def test_an_answer_that_takes_too_long_ends_there(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("agent.pipeline.guards.guard.time.monotonic", lambda: now[0])
    guard = Guard(GuardSettings(longest_s=5), ["later"])
    assert guard.feed("One. ") == "One. "
    now[0] = 105.5
    assert (guard.feed("Two. Lat"), guard.ending) == ("Two. Lat", Ending.TIME)
    assert (guard.feed("er"), guard.end(), guard.text) == ("", "", "One. Two. Lat")


def test_without_a_longest_time_it_takes_as_long_as_it_takes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("agent.pipeline.guards.guard.time.monotonic", lambda: now[0])
    guard = Guard(GuardSettings(longest_s=0))
    now[0] = 1e9
    assert (guard.feed("One."), guard.ending) == ("One.", None)
