"""Pauses grow over deaths that follow each other closely, and not for ever."""

from agent.engines.backoff import Backoff


def test_it_grows_up_to_a_bound_and_starts_anew_after_a_good_life():
    backoff = Backoff()
    assert [backoff.after(lived_s) for lived_s in (0.0, 1.0, 59.0)] == [0.1, 0.2, 0.4]
    assert [backoff.after(0.0) for _ in range(20)][-1] == 10.0
    assert [backoff.after(lived_s) for lived_s in (60.0, 0.0)] == [0.1, 0.2]
