"""What those who wait are told: when, by the pace so far."""

import pytest

from agent.pipeline.pace import Pace


def paced(turns, *, mean_s):
    pace = Pace(turns)
    pace.took(mean_s)
    return pace


def foreseen(pace, running=(), waiting=""):
    return [(each.who, round(each.begins_s, 3), round(each.ends_s, 3)) for each in pace.forecast(running, waiting)]


def test_who_waits_has_the_turns_that_end_first():
    pace = paced(2, mean_s=10.0)
    assert foreseen(pace, [("a", 4.0), ("b", 7.0)], "cde") == [
        ("b", 0, 3),
        ("a", 0, 6),
        ("c", 3, 13),
        ("d", 6, 16),
        ("e", 13, 23),
    ]


def test_a_turn_that_is_free_is_had_at_once():
    assert foreseen(paced(2, mean_s=10.0), [("a", 4.0)], "b") == [("a", 0, 6), ("b", 0, 10)]


def test_what_takes_longer_than_usual_is_not_about_to_end():
    assert foreseen(paced(1, mean_s=10.0), [("a", 100.0)], "b") == [("a", 0, 25), ("b", 25, 35)]


def test_the_first_turn_takes_the_place_of_a_guess_and_the_latest_count_most():
    pace = Pace(1)
    pace.took(10.0)
    assert pace.mean_s == 10.0
    for _ in range(10):
        pace.took(1.0)
    assert pace.mean_s == pytest.approx(1.97, abs=0.01)
